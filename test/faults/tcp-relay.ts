import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Which way what is said goes through. */
type Flow = 'both' | 'toTarget' | 'none';

/** Forwards TCP connections to a port, until the test has it do otherwise. */
export class TcpRelay implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Map<Socket, Socket>();
  #flow: Flow = 'both';
  #isCut = false;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (caller) => this.#forward(caller, targetPort));
  }

  static async start(targetPort: number): Promise<TcpRelay> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    return new TcpRelay(server, address.port, targetPort);
  }

  /** A black hole: connections stay, new ones are taken, nothing comes through; no FIN, no RST. */
  swallow(): void {
    this.#set('none');
  }

  /** What the target says is taken from it by nobody. */
  holdBack(): void {
    this.#set('toTarget');
  }

  /** Resets all connections, and new ones too. */
  cut(): void {
    this.#isCut = true;
    for (const [caller, target] of this.#pairs) {
      caller.resetAndDestroy();
      target.resetAndDestroy();
    }
  }

  /** As it was at first; what was held back goes on its way. */
  heal(): void {
    this.#isCut = false;
    this.#set('both');
  }

  #set(flow: Flow): void {
    this.#flow = flow;
    for (const [caller, target] of this.#pairs) this.#apply(caller, target);
  }

  #apply(caller: Socket, target: Socket): void {
    if (this.#flow === 'none') caller.pause();
    else caller.resume();
    if (this.#flow === 'both') target.resume();
    else target.pause();
  }

  #forward(caller: Socket, port: number): void {
    if (this.#isCut) {
      caller.on('error', () => {});
      caller.resetAndDestroy();
      return;
    }
    const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.#pairs.set(caller, target);
    for (const [from, to] of [
      [caller, target],
      [target, caller],
    ] as const) {
      from.setNoDelay();
      from.on('data', (data) => {
        if (!to.write(data)) from.pause();
      });
      to.on('drain', () => this.#apply(caller, target));
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#pairs.delete(caller);
        to.destroySoon();
      });
    }
    this.#apply(caller, target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
