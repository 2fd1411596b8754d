import type { TestContext } from 'node:test';

/** A browser's WebSocket, as far as ours uses it, whose network the test plays. */
export class FakeWebSocket {
  static made: FakeWebSocket[] = [];
  /** What the constructor throws. */
  static refuses: Error | undefined = undefined;

  readonly url: string;
  readonly protocols: readonly string[];
  protocol = '';
  extensions = '';
  binaryType = 'blob';
  readyState = 0;
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  readonly sent: (string | Uint8Array)[] = [];
  readonly closes: unknown[][] = [];

  constructor(url: string, protocols: readonly string[]) {
    if (FakeWebSocket.refuses !== undefined) throw FakeWebSocket.refuses;
    this.url = url;
    this.protocols = protocols;
    FakeWebSocket.made.push(this);
  }

  send(data: string | Uint8Array): void {
    this.sent.push(data);
    this.bufferedAmount += Buffer.byteLength(data);
  }

  close(...args: unknown[]): void {
    this.closes.push(args);
    if (this.readyState < 2) this.readyState = 2;
  }

  // --- What the network does

  opens(protocol = '', extensions = ''): void {
    this.protocol = protocol;
    this.extensions = extensions;
    this.readyState = 1;
    this.onopen?.();
  }

  receives(data: string | Uint8Array<ArrayBuffer>): void {
    this.onmessage?.({ data: typeof data === 'string' ? data : data.buffer });
  }

  ends(code: number, reason = '', wasClean = true): void {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean });
  }
}

/** Puts it in place of the global one, for one test. */
export function useFakeWebSocket(t: TestContext): void {
  FakeWebSocket.made = [];
  FakeWebSocket.refuses = undefined;
  const before = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  Object.defineProperty(globalThis, 'WebSocket', { value: FakeWebSocket, configurable: true });
  t.after(() => {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'WebSocket');
    else Object.defineProperty(globalThis, 'WebSocket', before);
  });
}
