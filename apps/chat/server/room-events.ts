import type { Said } from './said.ts';
import type { Change } from './server-notices.ts';
import { encode, type ServerMessage } from './superchat-messages.ts';

/** What members of a room are told of. */
export type RoomEvent =
  | { readonly type: 'said'; readonly said: Said }
  | Change
  /** Messages are missing, and no longer to be had; `said` are those that nobody here has seen. */
  | {
      readonly type: 'missing';
      readonly said: readonly Said[];
      readonly history: readonly Said[];
    };

/** A message as a line of the `chat` subprotocol: its line breaks are spaces there. */
export function saidLine(said: Said): string {
  return `${said.from}: ${said.text.replace(/\n+/g, ' ')}`;
}

export function saidMessage(room: string, { from, text, at, id }: Said): ServerMessage {
  return { type: 'said', room, from, text, at, id };
}

/** The lines that an event is in the `chat` subprotocol. */
export function linesOf(event: RoomEvent): readonly string[] {
  switch (event.type) {
    case 'said':
      return [saidLine(event.said)];
    case 'joined':
    case 'left':
      return [`* ${event.name} ${event.type}`];
    case 'renamed':
      return [`* ${event.from} is now ${event.to}`];
    case 'missing':
      return ['* some messages are missing here', ...event.said.map(saidLine)];
  }
}

/** The messages that an event is in the `superchat` subprotocol. */
export function messagesOf(room: string, event: RoomEvent): readonly string[] {
  switch (event.type) {
    case 'said':
      return [encode(saidMessage(room, event.said))];
    case 'joined':
      return [encode({ type: 'presence', room, joined: event.name })];
    case 'left':
      return [encode({ type: 'presence', room, left: event.name })];
    case 'renamed':
      return [
        ...(event.isGone ? [encode({ type: 'presence', room, left: event.from })] : []),
        ...(event.isNew ? [encode({ type: 'presence', room, joined: event.to })] : []),
      ];
    case 'missing':
      return [encode({ type: 'history', room, history: event.history })];
  }
}
