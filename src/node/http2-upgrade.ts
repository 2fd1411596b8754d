import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { checkExtendedConnect, connectedFields } from '../protocol/handshake/extended-connect.ts';
import type { JudgeAddress } from '../protocol/handshake/forwarded.ts';
import { HeaderFields } from '../protocol/handshake/header-fields.ts';
import { asciiLowerCase } from '../protocol/handshake/header-syntax.ts';
import type { Agreed, Refusal } from '../protocol/handshake/server-handshake.ts';
import { checkRefusal } from '../protocol/handshake/server-response.ts';
import { canBeAnswered, closeOnceFinished } from './http2-stream.ts';
import { sourceOf } from './trusted-proxies.ts';
import { UpgradeRequest } from './upgrade-request.ts';
import type { AskedUpgrade, RouteRules } from './upgrades.ts';

const NOTHING = Buffer.alloc(0);
/** How long a refused client has to read the answer. */
const LINGER_MS = 2_000;
/** RFC 9113 8.2.2: what is about a connection has no place in HTTP/2. */
const OF_CONNECTIONS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'],
]);

/** A stream that asks to become a connection by an extended CONNECT (RFC 8441 4). */
export class Http2Upgrade implements AskedUpgrade {
  readonly request: UpgradeRequest;
  readonly socket: ServerHttp2Stream;
  readonly head: Buffer = NOTHING;
  readonly status = 200;
  readonly #headers: IncomingHttpHeaders & Readonly<Record<string, unknown>>;
  readonly #fields: HeaderFields;
  readonly #encrypted: boolean;

  /** @param rawHeaders names and values in turn, the pseudo-headers among them. */
  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    judge?: JudgeAddress,
  ) {
    this.socket = stream;
    this.#headers = headers;
    const fields = [];
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] ?? '';
      if (!name.startsWith(':')) fields.push(name, rawHeaders[i + 1] ?? '');
    }
    this.#fields = new HeaderFields(fields);
    const { ':authority': authority, ':path': path = '/' } = headers;
    const host =
      headers['host'] === undefined && authority !== undefined ? ['host', authority] : [];
    const { session } = stream;
    const isTls = session?.encrypted === true;
    const source = sourceOf(this.#fields, session?.socket.remoteAddress, isTls, judge);
    this.#encrypted = source.encrypted;
    const kept = [':protocol', 'websocket', ...host, ...fields];
    this.request = new UpgradeRequest(path, kept, source.address);
  }

  check(rules: RouteRules): Agreed | Refusal {
    const { ':scheme': scheme, ':path': path, ':authority': authority } = this.#headers;
    const request = {
      protocol: String(this.#headers[':protocol']),
      scheme,
      path,
      authority,
      fields: this.#fields,
    };
    return checkExtendedConnect(request, { ...rules, encrypted: this.#encrypted });
  }

  refuse(status: number, headers: Readonly<Record<string, string>>, body = ''): void {
    checkRefusal(status, headers);
    const stream = this.socket;
    if (!canBeAnswered(stream)) return;
    const fields: Record<string, string | number> = { 'content-type': 'text/plain; charset=utf-8' };
    for (const [name, value] of Object.entries(headers)) {
      const lowerCase = asciiLowerCase(name);
      if (!OF_CONNECTIONS.has(lowerCase)) fields[lowerCase] = value;
    }
    stream.on('error', ignoreError);
    stream.respond({ ...fields, ':status': status });
    stream.end(body);
    // What the client still sends is thrown away; it has to see the answer first.
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS);
    timer.unref();
    stream.on('close', () => clearTimeout(timer));
    closeOnceFinished(stream);
    stream.resume();
  }

  grant(agreed: Agreed): Uint8Array {
    // RFC 8441 5: 200, and no Sec-WebSocket-Accept.
    const stream = this.socket;
    if (canBeAnswered(stream)) stream.respond({ ':status': 200, ...connectedFields(agreed) });
    return NOTHING;
  }
}

function ignoreError(): void {}
