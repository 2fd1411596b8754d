import { outputOf, tshark } from './capture.ts';

/** What is asked of each packet, by the names that the tests have for it. */
const fields = {
  number: 'frame.number',
  protocols: 'frame.protocols',
  from: 'tcp.srcport',
  malformed: '_ws.malformed',
  severity: '_ws.expert.severity',
  group: '_ws.expert.group',
  message: '_ws.expert.message',
  status: 'http.response.code',
  upgrade: 'http.upgrade',
  opcode: 'websocket.opcode',
  fin: 'websocket.fin',
  compressed: 'websocket.pmc',
  mask: 'websocket.mask',
  length: 'websocket.payload_length',
  length16: 'websocket.payload_length_ext_16',
  length64: 'websocket.payload_length_ext_64',
  text: 'websocket.payload.text',
  bytes: 'data.data',
  ping: 'websocket.payload.ping',
  pong: 'websocket.payload.pong',
  closeCode: 'websocket.payload.close.status_code',
  closeReason: 'websocket.payload.close.reason',
  http2Name: 'http2.header.name',
  http2Value: 'http2.header.value',
  http2Data: 'http2.data.data',
} as const;
type Field = keyof typeof fields;

/** From here on it is more than a remark. */
const WARNING = 0x600000;
/** What TCP itself repeats or resets. */
const SEQUENCE = 0x2000000;

export interface Frames {
  readonly opcodes: readonly number[];
  readonly fins: readonly number[];
  readonly compressed: readonly number[];
  readonly masks: readonly number[];
  readonly lengths: readonly number[];
  readonly texts: readonly string[];
  readonly binaries: readonly string[];
  readonly pings: readonly string[];
  readonly pongs: readonly string[];
  /** Codes with their reasons. */
  readonly closes: readonly string[];
}

/** A packet: the values of each field, in order. */
export class Packet {
  readonly #layers: Readonly<Record<string, readonly string[]>>;

  constructor(layers: Readonly<Record<string, readonly string[]>>) {
    this.#layers = layers;
  }

  all(field: Field): readonly string[] {
    return this.#layers[fields[field]] ?? [];
  }

  has(protocol: string): boolean {
    return this.all('protocols').join().split(':').includes(protocol);
  }

  /** What tshark objects to. */
  objections(): string[] {
    const groups = this.all('group');
    const severities = this.all('severity');
    const told = this.all('message').filter(
      (_, at) => Number(severities[at]) >= WARNING && Number(groups[at]) !== SEQUENCE,
    );
    return [...this.all('malformed'), ...told].map(
      (message) => `${this.all('number')} ${this.all('protocols')}: ${message}`,
    );
  }
}

/** What tshark makes of the TCP packets in a file. */
export class Dissection {
  readonly packets: readonly Packet[];
  readonly #server: string;

  private constructor(packets: readonly Packet[], server: string) {
    this.packets = packets;
    this.#server = server;
  }

  /** @param port the server's. */
  static async of(
    file: string,
    port: number,
    options: readonly string[] = [],
  ): Promise<Dissection> {
    const output = await outputOf(tshark, [
      ...['-n', '-r', file, '-Y', 'tcp', '-T', 'json', ...options],
      ...Object.values(fields).flatMap((field) => ['-e', field]),
    ]);
    const packets: { _source: { layers: Record<string, string[]> } }[] = JSON.parse(output);
    const dissected = packets.map(({ _source: { layers } }) => new Packet(layers));
    return new Dissection(dissected, String(port));
  }

  /** Whether a packet comes from the client. */
  isFromClient(packet: Packet): boolean {
    return packet.all('from')[0] !== this.#server;
  }

  objections(): string[] {
    return this.packets.flatMap((packet) => packet.objections());
  }

  /** The WebSocket frames in one direction. */
  frames(fromClient: boolean): Frames {
    const packets = this.packets.filter(
      (packet) => packet.has('websocket') && this.isFromClient(packet) === fromClient,
    );
    const all = (field: Field): string[] => packets.flatMap((packet) => packet.all(field));
    const longer = { 126: all('length16'), 127: all('length64') };
    const reasons = all('closeReason');
    return {
      opcodes: all('opcode').map(Number),
      fins: all('fin').map(bit),
      compressed: all('compressed').map(bit),
      masks: all('mask').map(bit),
      lengths: all('length')
        .map(Number)
        .map((length) =>
          length === 126 || length === 127 ? Number(longer[length].shift()) : length,
        ),
      texts: all('text'),
      binaries: all('bytes').map((text) => bytesOf(text).toString('latin1')),
      pings: all('ping').map((text) => bytesOf(text).toString('latin1')),
      pongs: all('pong').map((text) => bytesOf(text).toString('latin1')),
      closes: all('closeCode').map((code) => `${code} ${reasons.shift() ?? ''}`),
    };
  }
}

function bit(text: string): number {
  return text === '1' || text === 'True' ? 1 : 0;
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}
