import { clientError } from '../protocol/client-errors.ts';
import { ensure } from './ensure.ts';
import type { Dial, Link, LinkEnd, LinkHandlers } from './link.ts';
import type { SimpleDial, SimpleEnd, SimpleHandlers, SimpleLink } from './simple-link.ts';

/** What a browser lets one choose, which is nothing. */
export interface BrowserDialOptions {
  /** A browser sets its own: INVALID_OPTION. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Plans to connect through the browser's own WebSocket. An attempt rejects with CONNECT_FAILED, since a browser does
 * not say why; or with what the browser throws where a policy of the page forbids it.
 * @throws {ApertoError} INVALID_URL, INVALID_PROTOCOL, INVALID_OPTION
 */
export const browserDial: Dial<BrowserDialOptions> = (url, protocols, options) =>
  planned(url, protocols, options, fullLink);

/** The same for a link that can do less, which makes a bundle smaller. */
export const simpleBrowserDial: SimpleDial<BrowserDialOptions> = (url, protocols, options) =>
  planned(url, protocols, options, simpleLink);

function planned<Handlers, L>(
  url: string,
  protocols: readonly string[],
  { headers }: BrowserDialOptions,
  makeLink: (socket: WebSocket, handlers: Handlers) => L,
): (handlers: Handlers, signal: AbortSignal) => Promise<L> {
  ensure(headers === undefined, 'INVALID_OPTION', 'headers');
  const href = webSocketUrl(url);
  const isDistinct = Array.isArray(protocols) && new Set(protocols).size === protocols.length;
  // RFC 6455 4.1 (10): a subprotocol is a token.
  const isLegal = isDistinct && protocols.every((name) => /^[!#-'*+.^`|~\w-]+$/.test(name));
  ensure(isLegal, 'INVALID_PROTOCOL', protocols);
  return (handlers, signal) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(href, [...protocols]);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => resolve(makeLink(socket, handlers));
      socket.onclose = () => reject(clientError('CONNECT_FAILED'));
      signal.addEventListener('abort', () => {
        reject(signal.reason);
        if (socket.readyState) return;
        socket.onopen = null;
        socket.close();
      });
    });
}

/** By the rules of the constructor (WHATWG WebSockets, "get a URL record"), which not all browsers know yet. */
function webSocketUrl(url: string): string {
  let href = '';
  try {
    // A request's URL is relative to that of the page or worker.
    href = new Request(url).url.replace(/^http/, 'ws');
  } catch {
    // It is no URL.
  }
  ensure(/^wss?:[^#]*$/.test(href), 'INVALID_URL', url);
  return href;
}

function simpleLink(socket: WebSocket, handlers: SimpleHandlers): SimpleLink {
  let timer: ReturnType<typeof setTimeout> | undefined;
  // A browser does not tell when it has sent what it was given, and is asked until it has.
  const watch = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      if (socket.bufferedAmount) watch();
      else handlers.progress();
    }, 5);
  };
  const ended = ({ code, reason, wasClean }: SimpleEnd): void => {
    clearTimeout(timer);
    socket.onmessage = socket.onclose = null;
    handlers.closed({ code, reason, wasClean });
  };
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) =>
    handlers.message(typeof data === 'string' ? data : new Uint8Array(data));
  socket.onclose = ended;
  return {
    protocol: socket.protocol,
    get isOpen() {
      return socket.readyState === 1;
    },
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    send(data) {
      // A copy, since a browser takes no shared memory.
      socket.send(typeof data === 'string' ? data : new Uint8Array(data));
      watch();
      // As in Node.
      return socket.bufferedAmount <= 2 ** 16;
    },
    close(code, reason) {
      socket.close(code, reason);
    },
    terminate() {
      socket.close();
      ended({ code: 1006, reason: '', wasClean: false });
    },
  };
}

/** A page that is this far behind would end without memory. */
const MAX_KEPT = 64 * 1024 * 1024;

/**
 * A browser's WebSocket as a link. What it cannot do: it reads on while it is held, so that messages are kept in memory
 * until `release`, and the connection is given up over 64 MiB; `cork` changes nothing; a close frame of the other side is told with `closed` alone; and progress
 * only once nothing waits.
 */
function fullLink(socket: WebSocket, handlers: LinkHandlers): Link {
  let isHeld = false;
  /** What came while it was held. */
  let kept: (string | Uint8Array)[] = [];
  let keptSize = 0;
  let end: LinkEnd | undefined;
  let isEndTold = false;
  /** Bytes sent, as the browser counts them. */
  let sent = 0;

  const deliver = (): void => {
    while (!isHeld) {
      const message = kept.shift();
      if (message === undefined) break;
      handlers.message(message);
    }
    if (isHeld || end === undefined || isEndTold) return;
    isEndTold = true;
    handlers.closed(end);
  };
  const release = (): void => {
    isHeld = false;
    keptSize = 0;
    deliver();
  };
  const giveUp = (): void => {
    kept = [];
    simple.terminate();
    release();
  };
  const simple = simpleLink(socket, {
    message(data) {
      kept.push(data);
      deliver();
      // Strings count by their length: it is a bound, and no measure.
      if (kept.length > 0) keptSize += data.length;
      if (keptSize > MAX_KEPT) giveUp();
    },
    progress: () => handlers.progress(),
    closing: () => handlers.closing(),
    closed(how) {
      end ??= { ...how, error: undefined };
      deliver();
    },
  });

  return {
    protocol: socket.protocol,
    extensions: socket.extensions,
    get isOpen() {
      return simple.isOpen;
    },
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    get bytesTaken() {
      return sent - socket.bufferedAmount;
    },
    send(data) {
      if (!simple.isOpen) return false;
      const before = socket.bufferedAmount;
      const hasRoom = simple.send(data);
      // Only by sending does it change within a task.
      sent += socket.bufferedAmount - before;
      return hasRoom;
    },
    close(code, reason) {
      if (code === undefined) socket.close();
      else simple.close(code, reason);
      kept = [];
      release();
    },
    terminate: giveUp,
    hold() {
      isHeld = true;
    },
    release,
    cork() {},
    uncork() {},
  };
}
