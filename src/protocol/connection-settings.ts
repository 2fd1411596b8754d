import { AgreedCompression, type CompressionSettings } from './extensions/agreed-compression.ts';
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
  /** Where permessage-deflate was agreed on. */
  readonly compression: AgreedCompression | undefined;
}

/** One for all connections with the same limits and the same agreement on the same side. */
export function connectionSettings(
  platform: Platform,
  limits: Limits,
  isServer: boolean,
  compression?: CompressionSettings,
): ConnectionSettings {
  // RFC 6455 5.1: a client masks what it sends, a server does not.
  const sender = new FrameSender(platform, !isServer);
  return {
    platform,
    limits,
    isServer,
    sender,
    parsers: new ParserPool(isServer, compression !== undefined),
    compression: compression && new AgreedCompression(compression, platform, limits, sender),
  };
}
