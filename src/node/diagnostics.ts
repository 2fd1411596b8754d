import { type Channel, channel } from 'node:diagnostics_channel';
import type { ErrorCode } from '../protocol/errors.ts';
import type { Sendable } from './data.ts';
import type { ClientPeer } from './peer.ts';
import type { CloseInfo } from './peer-handlers.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/**
 * What is published on the channels of node:diagnostics_channel, by their names. Whoever listens is called synchronously,
 * must change nothing, and must not throw: Node makes that an uncaught exception. Where nobody listens a channel costs a
 * look at a property. A peer is a server's, or one of `connect`; the classes of the web have none, and publish nothing.
 */
export interface DiagnosticsMessages {
  /** A server has answered an opening handshake. */
  'aperto:handshake': {
    readonly request: UpgradeRequest;
    /** 101 or 200 where it was granted. */
    readonly status: number;
    /** Why it was refused, where a rule of Aperto's did. */
    readonly error: ErrorCode | undefined;
  };
  /** A connection is open, on either side. A server's is not answered yet. */
  'aperto:open': { readonly peer: ClientPeer };
  /** A message came, or was handed to the connection. */
  'aperto:message': {
    readonly peer: ClientPeer;
    readonly direction: 'received' | 'sent';
    readonly data: Sendable;
  };
  /** A connection has ended. */
  'aperto:close': { readonly peer: ClientPeer; readonly info: CloseInfo };
  /** A handler threw, or something else went wrong that nobody had asked for; `peer` where it was one's. */
  'aperto:error': { readonly error: unknown; readonly peer: ClientPeer | undefined };
  /** Messages to a slow peer were dropped. */
  'aperto:drop': { readonly peer: ClientPeer; readonly messages: number };
}

type Name = keyof DiagnosticsMessages;

/** A channel that only takes what belongs on it. */
interface TypedChannel<N extends Name> extends Pick<Channel, 'hasSubscribers'> {
  publish(message: DiagnosticsMessages[N]): void;
}

function typed<N extends Name>(name: N): TypedChannel<N> {
  return channel(name);
}

export const handshakes: TypedChannel<'aperto:handshake'> = typed('aperto:handshake');
export const opens: TypedChannel<'aperto:open'> = typed('aperto:open');
export const messages: TypedChannel<'aperto:message'> = typed('aperto:message');
export const closes: TypedChannel<'aperto:close'> = typed('aperto:close');
export const errors: TypedChannel<'aperto:error'> = typed('aperto:error');
export const drops: TypedChannel<'aperto:drop'> = typed('aperto:drop');
