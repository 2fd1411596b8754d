import type { ApertoError } from '../protocol/aperto-error.ts';
import { defineInterface } from './web-idl.ts';

/** The connection has ended (https://websockets.spec.whatwg.org/#the-closeevent-interface). */
export interface CloseEvent extends Event {
  /** Whether by a closing handshake. */
  readonly wasClean: boolean;
  /** What the close frame said; 1005 where it had no code; 1006 where there was none. */
  readonly code: number;
  readonly reason: string;
}

type CloseEventInit = ConstructorParameters<typeof Event>[1] & {
  readonly wasClean?: boolean;
  readonly code?: number;
  readonly reason?: string;
};

interface CloseEventClass {
  readonly prototype: CloseEvent;
  new (type: string, init?: CloseEventInit): CloseEvent;
}

class OwnCloseEvent extends Event implements CloseEvent {
  readonly #init: CloseEventInit;

  constructor(type: string, init: CloseEventInit = {}) {
    super(type, init);
    this.#init = init;
  }

  get wasClean(): boolean {
    return Boolean(this.#init.wasClean);
  }

  get code(): number {
    return (this.#init.code ?? 0) & 0xffff;
  }

  get reason(): string {
    return String(this.#init.reason ?? '');
  }
}
Object.defineProperty(OwnCloseEvent, 'name', { value: 'CloseEvent' });
defineInterface('CloseEvent', OwnCloseEvent);

/** The runtime's own where it has one; Node has from 23 on. */
export const CloseEvent: CloseEventClass = globalThis.CloseEvent ?? OwnCloseEvent;

/** By the standard a plain event; ours knows why. */
export interface SocketErrorEvent extends Event {
  /** What went wrong, where that is known. Not of the standard. */
  readonly error?: ApertoError | undefined;
}

const TRUSTED = { value: true, enumerable: true };

/** To a runtime, what code made is not trusted. It stays so where the attribute is unforgeable, as in Bun. */
function trusted<E extends Event>(event: E): E {
  Reflect.defineProperty(event, 'isTrusted', TRUSTED);
  return event;
}

export function openEvent(): Event {
  return trusted(new Event('open'));
}

export function messageEvent(data: unknown, origin: string): MessageEvent {
  return trusted(new MessageEvent('message', { data, origin }));
}

export function errorEvent(error: ApertoError | undefined): SocketErrorEvent {
  return trusted(Object.assign(new Event('error'), { error }));
}

export function closeEvent(wasClean: boolean, code: number, reason: string): CloseEvent {
  return trusted(new CloseEvent('close', { wasClean, code, reason }));
}
