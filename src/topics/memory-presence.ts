import { apertoError } from '../protocol/errors.ts';
import { ensureMember, ensureTopic } from './arguments.ts';
import { LocalMembers } from './local-members.ts';
import type { Presence } from './presence.ts';

/** Presence in this process, for a service that is one process. */
export function memoryPresence(): Presence {
  return new MemoryPresence();
}

class MemoryPresence implements Presence {
  readonly #members = new LocalMembers();
  #isClosed = false;

  async enter(topic: string, member: string): Promise<boolean> {
    this.#ensure(topic);
    ensureMember(member);
    return this.#members.enter(topic, member);
  }

  async leave(topic: string, member: string): Promise<boolean> {
    this.#ensure(topic);
    ensureMember(member);
    return this.#members.leave(topic, member);
  }

  async members(topic: string): Promise<readonly string[]> {
    this.#ensure(topic);
    return this.#members.members(topic);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#members.clear();
  }

  #ensure(topic: string): void {
    ensureTopic(topic);
    if (this.#isClosed) throw apertoError('ENGINE_AWAY', { detail: 'the presence is closed' });
  }
}
