import { FrameSender } from './frames/frame-sender.ts';
import { ParserPool } from './frames/parser-pool.ts';
import type { Limits } from './limits.ts';
import type { Platform } from './platform.ts';

/** What is the same for many connections, so that each holds one reference to it. */
export interface ConnectionSettings {
  readonly platform: Platform;
  readonly limits: Limits;
  readonly isServer: boolean;
  readonly sender: FrameSender;
  readonly parsers: ParserPool;
}

/** One for all connections with the same limits on the same side. */
export function connectionSettings(
  platform: Platform,
  limits: Limits,
  isServer: boolean,
): ConnectionSettings {
  // RFC 6455 5.1: a client masks what it sends, a server does not.
  return {
    platform,
    limits,
    isServer,
    sender: new FrameSender(platform, !isServer),
    parsers: new ParserPool(isServer),
  };
}
