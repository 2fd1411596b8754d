// What is used of the rivals that bring no types.

declare module 'faye-websocket' {
  import type { EventEmitter } from 'node:events';
  import type { IncomingMessage } from 'node:http';
  import type { Duplex } from 'node:stream';

  interface MessageEvent {
    readonly data: string | Buffer;
  }

  interface Options {
    readonly maxLength?: number;
  }

  class FayeWebSocket extends EventEmitter {
    constructor(
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      protocols?: readonly string[],
      options?: Options,
    );
    static Client: new (
      url: string,
      protocols?: readonly string[],
      options?: Options,
    ) => FayeWebSocket;
    on(event: 'open' | 'close', listener: () => void): this;
    on(event: 'message', listener: (event: MessageEvent) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    send(data: string | Buffer): boolean;
  }

  export default FayeWebSocket;
}

/** Only there where Bun runs the program. */
declare const Bun: {
  gc(synchronous: boolean): void;
  serve(options: {
    readonly port: number;
    readonly hostname: string;
    fetch(request: unknown, server: BunServer): unknown;
    readonly websocket: {
      readonly perMessageDeflate:
        | false
        | { readonly compress: BunContext; readonly decompress: BunContext };
      readonly maxPayloadLength: number;
      readonly backpressureLimit: number;
      open(socket: BunSocket): void;
      message(socket: BunSocket, message: string | Uint8Array): void;
    };
  }): BunServer;
};

type BunContext = 'shared' | 'dedicated';

interface BunServer {
  readonly port: number;
  upgrade(request: unknown): boolean;
  publish(topic: string, message: string | Uint8Array, compress?: boolean): number;
}

interface BunSocket {
  send(message: string | Uint8Array, compress?: boolean): number;
  subscribe(topic: string): void;
}
