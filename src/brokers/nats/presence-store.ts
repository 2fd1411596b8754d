import { WRONG_LAST_SEQUENCE } from './jetstream.ts';
import type { StoredMessage, Stream } from './stream.ts';
import { subjectToken } from './subjects.ts';

/** A member of a topic. */
export interface MemberRecord {
  readonly subject: string;
  readonly sequence: number;
  readonly topicToken: string;
  readonly member: string;
  /** Those that have entered it; none where it has just left. */
  readonly nodes: readonly string[];
  /** The sequence of its coming. */
  readonly since: number;
}

/** The sign of a node, renewed as long as it lives. */
export interface Lease {
  readonly node: string;
  readonly sequence: number;
  readonly ttlMs: number;
  /** Another node has found it gone. */
  readonly isGone: boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Who is in topics, in a stream with one message a subject: the nodes of a member, `m.topic.member`, and the lease of a
 * node, `n.node`. All are changed from what they were, or not at all.
 */
export class PresenceStore {
  readonly #stream: Stream;
  readonly #members: string;
  readonly #leases: string;

  constructor(stream: Stream, prefix: string) {
    this.#stream = stream;
    this.#members = `${prefix}m.`;
    this.#leases = `${prefix}n.`;
  }

  /** All of its subjects. */
  get subjects(): readonly string[] {
    return [`${this.#members}*.*`, `${this.#leases}*`];
  }

  subjectOf(topic: string, member: string): string {
    return `${this.#members}${subjectToken(topic)}.${subjectToken(member)}`;
  }

  /** Has a node enter or leave. Resolves to whether no other node has the member. */
  async change(subject: string, member: string, node: string, enters: boolean): Promise<boolean> {
    // Who enters is mostly the first.
    let record = enters ? undefined : await this.#record(subject);
    for (;;) {
      const before = record?.nodes ?? [];
      const others = before.filter((other) => other !== node);
      if (!enters && others.length === before.length) return others.length === 0;
      const nodes = enters ? [...others, node] : others;
      if (await this.#put(subject, member, nodes, record)) return others.length === 0;
      record = await this.#record(subject);
    }
  }

  /** Leaves a member with fewer nodes, unless it has changed meanwhile. */
  async reduce(record: MemberRecord, nodes: readonly string[]): Promise<boolean> {
    return this.#put(record.subject, record.member, nodes, record);
  }

  /** Everyone in a topic. */
  async members(topic: string): Promise<MemberRecord[]> {
    return this.#records(`${this.#members}${subjectToken(topic)}.*`);
  }

  /** Everyone in all topics. */
  async all(): Promise<MemberRecord[]> {
    return this.#records(`${this.#members}*.*`);
  }

  async #record(subject: string): Promise<MemberRecord | undefined> {
    const message = await this.#stream.last(subject);
    return message && readMember(message);
  }

  async #records(filter: string): Promise<MemberRecord[]> {
    const records = new Map<string, MemberRecord>();
    // One that changes while it is read may come twice, the second time as it is.
    for (const message of await this.#stream.read(filter, 1)) {
      records.set(message.subject, readMember(message));
    }
    return [...records.values()].filter(({ nodes }) => nodes.length > 0);
  }

  async #put(
    subject: string,
    member: string,
    nodes: readonly string[],
    before: MemberRecord | undefined,
  ): Promise<boolean> {
    const since = before === undefined || before.nodes.length === 0 ? undefined : before.since;
    // Nothing is what stays of a member that is gone, until that is removed: by its number, so that nothing else is.
    const payload = nodes.length === 0 ? '' : JSON.stringify({ member, nodes, since });
    const sequence = await this.#store(subject, payload, before?.sequence ?? 0);
    if (sequence !== undefined && nodes.length === 0) void this.#stream.remove(sequence);
    return sequence !== undefined;
  }

  /**
   * Renews the lease of a node, or begins it.
   * @param known the sequence that it had; where it has another, nothing is done
   */
  async renew(node: string, ttlMs: number, known?: number): Promise<number | undefined> {
    return this.#store(this.#leases + node, JSON.stringify({ ttlMs }), known);
  }

  /** Says of a node that it is gone, unless it has renewed its lease. Returns the lease that it has then. */
  async declareGone({ node, ttlMs, sequence }: Lease): Promise<Lease | undefined> {
    const payload = JSON.stringify({ ttlMs, isGone: true });
    const declared = await this.#store(this.#leases + node, payload, sequence);
    return declared === undefined ? undefined : { node, ttlMs, sequence: declared, isGone: true };
  }

  async leases(): Promise<Lease[]> {
    const leases = new Map<string, Lease>();
    for (const message of await this.#stream.read(`${this.#leases}*`, 1)) {
      const { ttlMs, isGone } = parse(message);
      const node = message.subject.slice(this.#leases.length);
      leases.set(node, {
        node,
        sequence: message.sequence,
        ttlMs: typeof ttlMs === 'number' ? ttlMs : 0,
        isGone: isGone === true,
      });
    }
    return [...leases.values()];
  }

  /** Removes a lease, unless there is a newer one. Never rejects. */
  async removeLease(sequence: number): Promise<void> {
    await this.#stream.remove(sequence);
  }

  /** Stores what a subject has, where it has the expected sequence; 0 where it has nothing. */
  async #store(subject: string, text: string, expected?: number): Promise<number | undefined> {
    const headers =
      expected === undefined ? {} : { 'Nats-Expected-Last-Subject-Sequence': `${expected}` };
    const payload = encoder.encode(text);
    const stored = await this.#stream.append(subject, payload, headers, WRONG_LAST_SEQUENCE);
    return stored?.sequence;
  }
}

function readMember(message: StoredMessage): MemberRecord {
  const { subject, sequence } = message;
  const { member, nodes, since } = parse(message);
  const isRecord = typeof member === 'string' && Array.isArray(nodes);
  return {
    subject,
    sequence,
    topicToken: subject.split('.').at(-2) ?? '',
    member: isRecord ? member : '',
    nodes: isRecord ? nodes.map(String) : [],
    since: typeof since === 'number' ? since : sequence,
  };
}

/** Nothing where it is not what this store has stored. */
function parse({ data }: StoredMessage): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(decoder.decode(data));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
