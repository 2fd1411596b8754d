import type { Attempt, Dial, Link, LinkEnd, LinkHandlers } from './link.ts';

/** As much of a link as a client that reconnects needs. `send` is called only while it is open. */
export interface SimpleLink
  extends Pick<Link, 'protocol' | 'isOpen' | 'bufferedAmount' | 'send' | 'terminate'> {
  close(code: number, reason: string): void;
}

export type SimpleEnd = Omit<LinkEnd, 'error'>;

export interface SimpleHandlers extends Omit<LinkHandlers, 'closed'> {
  closed(end: SimpleEnd): void;
}

export type SimpleAttempt = Attempt<SimpleHandlers, SimpleLink>;
export type SimpleDial<Options> = Dial<Options, SimpleHandlers, SimpleLink>;
