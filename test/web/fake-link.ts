import assert from 'node:assert/strict';
import type { Attempt, Dial, Link, LinkEnd, LinkHandlers } from '../../dist/web/link.js';

const clean: LinkEnd = { code: 1000, reason: '', wasClean: true, error: undefined };

/** A link without a network: it notes what it is asked, and tells what a test wants. */
export class FakeLink implements Link {
  readonly protocol = 'chat';
  readonly extensions = 'x-fake';
  isOpen = true;
  bufferedAmount = 0;
  bytesTaken = 0;
  /** What it was asked, but for what it sent. */
  readonly calls: string[] = [];
  readonly sent: (string | Uint8Array)[] = [];
  /** What `send` returns. */
  hasRoom = true;
  isHeld = false;
  handlers: LinkHandlers | undefined = undefined;

  send(data: string | Uint8Array): boolean {
    if (!this.isOpen) return false;
    this.sent.push(data);
    if (!this.hasRoom) this.bufferedAmount += data.length;
    return this.hasRoom;
  }

  close(code: number | undefined, reason: string): void {
    this.calls.push(`close ${code} ${reason}`.trimEnd());
    this.isOpen = false;
    this.isHeld = false;
  }

  terminate(): void {
    this.calls.push('terminate');
    this.isOpen = false;
  }

  hold(): void {
    this.isHeld = true;
  }

  release(): void {
    this.isHeld = false;
  }

  cork(): void {
    assert.fail('nothing of ours is corked');
  }

  uncork(): void {
    assert.fail('nothing of ours is corked');
  }

  // --- What the network would do

  receive(data: string | Uint8Array): void {
    this.handlers?.message(data);
  }

  /** Some of what waits is taken. */
  take(bytes: number): void {
    this.bufferedAmount -= bytes;
    this.bytesTaken += bytes;
    this.handlers?.progress();
  }

  startClosing(): void {
    this.isOpen = false;
    this.handlers?.closing();
  }

  end(how: Partial<LinkEnd> = {}): void {
    this.isOpen = false;
    this.handlers?.closed({ ...clean, ...how });
  }
}

/** Attempts that a test settles. */
export class FakeDial {
  readonly links: FakeLink[] = [];
  readonly planned: (readonly [url: string, protocols: readonly string[], options: object])[] = [];
  signal: AbortSignal | undefined = undefined;
  #resolve: (link: Link) => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  #handlers: LinkHandlers | undefined = undefined;

  readonly dial: Dial<{ readonly headers?: object }> = (url, protocols, options): Attempt => {
    this.planned.push([url, protocols, options]);
    return (handlers, signal) => {
      this.signal = signal;
      this.#handlers = handlers;
      return new Promise((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
      });
    };
  };

  succeed(): FakeLink {
    const link = new FakeLink();
    link.handlers = this.#handlers;
    this.#resolve(link);
    return link;
  }

  fail(reason: unknown): void {
    this.#reject(reason);
  }
}
