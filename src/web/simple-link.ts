import type { Link, LinkEnd, LinkHandlers } from './link.ts';

/** As much of a link as a client that reconnects needs. `send` is called only while it is open. */
export interface SimpleLink
  extends Pick<Link, 'protocol' | 'isOpen' | 'bufferedAmount' | 'send' | 'terminate'> {
  close(code: number, reason: string): void;
}

export type SimpleEnd = Omit<LinkEnd, 'error'>;

export interface SimpleHandlers extends Omit<LinkHandlers, 'closed'> {
  closed(end: SimpleEnd): void;
}

/** An attempt to connect. Rejects with why it failed, or the signal's reason. */
export type SimpleAttempt = (handlers: SimpleHandlers, signal: AbortSignal) => Promise<SimpleLink>;

/** Plans an attempt, as `Dial` does. */
export type SimpleDial<Options> = (
  url: string,
  protocols: readonly string[],
  options: Options,
) => SimpleAttempt;
