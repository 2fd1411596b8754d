/** What a load speaks over WebSocket. */
export type DialectName = 'plain' | 'socket.io';

export interface Dialect {
  url(port: number): string;
  /** The message as it is sent, and as it arrives. */
  wrap(text: string): string;
  /** How many characters stand before the text. */
  readonly prefixLength: number;
  /**
   * What arrives and is no message: what is to be answered, and whether it says that the connection is ready. Undefined
   * for messages.
   */
  service(data: string): { readonly answer?: string; readonly isReady?: boolean } | undefined;
  /** Whether a connection is ready as soon as it is open. */
  readonly isReadyAtOnce: boolean;
}

const MESSAGE = '42["m","';

/** The texts have nothing that JSON escapes. */
export const dialects: Readonly<Record<DialectName, Dialect>> = {
  plain: {
    url: (port) => `ws://127.0.0.1:${port}/`,
    wrap: (text) => text,
    prefixLength: 0,
    service: () => undefined,
    isReadyAtOnce: true,
  },
  // Engine.IO 4 and Socket.IO 5: https://socket.io/docs/v4/engine-io-protocol, .../socket-io-protocol
  'socket.io': {
    url: (port) => `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`,
    wrap: (text) => `${MESSAGE}${text}"]`,
    prefixLength: MESSAGE.length,
    service(data) {
      if (data.startsWith(MESSAGE)) return undefined;
      // It is open: join the main namespace.
      if (data.startsWith('0')) return { answer: '40' };
      if (data.startsWith('40')) return { isReady: true };
      if (data === '2') return { answer: '3' };
      return undefined;
    },
    isReadyAtOnce: false,
  },
};
