import type { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import type { Broker } from './broker.ts';
import { type EnvelopeHead, sealEnvelope } from './envelope.ts';
import type { TopicPorts } from './topic-ports.ts';

/** Messages to one topic that leave together. */
interface Batch {
  readonly messages: PreparedMessage[];
  bytes: number;
}

/** An envelope, for the one that comes after it. */
interface Link {
  readonly sequence: number;
  readonly at: number;
}

/** A batch leaves once it has this many bytes, without waiting for the end of the tick. */
const MAX_BATCH = 64 * 1024;

/** What an envelope that the engine has not taken costs beside its messages: in the broker's client, about. */
const ENVELOPE_BYTES = 512;

/** Of how many topics the last sequence is known. What it was of others is told as unknown. */
const MAX_CHAINS = 16_384;

/** Hands messages to the engine: those to one topic in a tick as one, and never more than it takes in time. */
export class Publisher {
  /** Whether the engine can be reached. */
  isUp = false;
  /** Messages that may not have reached the other nodes. */
  unpublished = 0;

  readonly #broker: Broker;
  readonly #ports: TopicPorts;
  readonly #node: number;
  readonly #maxBytes: number;
  readonly #onLost: (lost: { readonly messages: number; readonly error: unknown }) => void;
  readonly #batches = new Map<string, Batch>();
  /** By topic, the last envelope; the topic published to longest ago first. */
  readonly #chains = new Map<string, Link>();
  readonly #flushTask = (): void => {
    this.#scheduled = false;
    this.#flush();
  };
  #sequence = 0;
  #scheduled = false;
  /** Bytes that the engine has not taken. */
  #waitingBytes = 0;
  #whenDrained: (() => void) | undefined = undefined;

  constructor(
    broker: Broker,
    ports: TopicPorts,
    node: number,
    maxBytes: number,
    onLost: (lost: { readonly messages: number; readonly error: unknown }) => void,
  ) {
    this.#broker = broker;
    this.#ports = ports;
    this.#node = node;
    this.#maxBytes = maxBytes;
    this.#onLost = onLost;
  }

  /** Returns whether it is handed to the engine. */
  publish(topic: string, message: PreparedMessage): boolean {
    let batch = this.#batches.get(topic);
    if (batch !== undefined && batch.messages[0]?.compress !== message.compress) {
      this.#send(topic, batch);
      batch = undefined;
    }
    const size = message.frame.length + (batch === undefined ? ENVELOPE_BYTES + topic.length : 0);
    if (!this.isUp || this.#waitingBytes + size > this.#maxBytes) {
      if (batch !== undefined) this.#send(topic, batch);
      // The next one tells the other nodes that something came before it.
      this.#link(topic);
      this.unpublished += 1;
      return false;
    }
    if (batch === undefined) {
      batch = { messages: [], bytes: 0 };
      this.#batches.set(topic, batch);
    }
    batch.messages.push(message);
    batch.bytes += size;
    this.#waitingBytes += size;
    if (batch.bytes >= MAX_BATCH) this.#send(topic, batch);
    else if (!this.#scheduled) {
      this.#scheduled = true;
      this.#ports.atEndOfTick(this.#flushTask);
    }
    return true;
  }

  #flush(): void {
    for (const [topic, batch] of this.#batches) this.#send(topic, batch);
  }

  #send(topic: string, { messages, bytes }: Batch): void {
    this.#batches.delete(topic);
    const head = { node: this.#node, ...this.#link(topic) };
    const envelope = sealEnvelope(head, messages, this.#ports.platform);
    this.#broker.publish(topic, envelope).then(
      () => this.#settled(bytes),
      (error) => {
        this.unpublished += messages.length;
        this.#settled(bytes);
        this.#onLost({ messages: messages.length, error });
      },
    );
  }

  #settled(bytes: number): void {
    this.#waitingBytes -= bytes;
    if (this.#waitingBytes === 0) this.#whenDrained?.();
  }

  /** The place of an envelope behind the one before it to the same topic. */
  #link(topic: string): Omit<EnvelopeHead, 'node'> {
    const at = this.#ports.platform.clock();
    const before = this.#chains.get(topic);
    this.#sequence += 1;
    const sequence = this.#sequence;
    // Set anew, it is the last one to be forgotten; the last one is that already.
    if (before !== undefined && before.sequence !== sequence - 1) this.#chains.delete(topic);
    this.#chains.set(topic, { sequence, at });
    if (this.#chains.size > MAX_CHAINS) {
      const [oldest] = this.#chains.keys();
      if (oldest !== undefined) this.#chains.delete(oldest);
    }
    return {
      sequence,
      previous: before?.sequence ?? 0,
      age: before === undefined ? 0 : at - before.at,
    };
  }

  /** Resolves once the engine has taken everything, or after `ms`, or at once where it is away. */
  async drained(ms: number): Promise<void> {
    this.#flush();
    if (this.#waitingBytes === 0 || !this.isUp) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#ports.after(ms, resolve);
      this.#whenDrained = () => {
        cancel();
        resolve();
      };
    });
  }
}
