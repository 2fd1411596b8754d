import { engineAway } from '../engine-away.ts';
import {
  type JetStream,
  type JetStreamReply,
  MESSAGE_NOT_FOUND,
  NANOSECONDS,
  STREAM_NAME_IN_USE,
  STREAM_NOT_FOUND,
  type StreamConfig,
} from './jetstream.ts';

export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface StreamInfo {
  readonly config: StreamConfig;
  /** When the stream was created: another time after it was lost. */
  readonly created: string;
  /** Of the first and the last message, also where that is gone. */
  readonly first: number;
  readonly last: number;
  /** How many messages the subject has that was asked for. */
  readonly count: number;
}

/** What a read asks for at once: fewer bytes than a server queues for a client, but more than one message has. */
const BATCH = 256;
const BATCH_BYTES = 1024 * 1024;

/** How often a stream is looked for. In a cluster it may take a moment. */
const ATTEMPTS = 10;

/** How long a server waits for what it believes to be there. */
const EXPIRES_MS = 200;

/** How long a server keeps a consumer that was not deleted. */
const CONSUMER_MS = 10_000;

/** A stream of JetStream, made where there is none. */
export class Stream {
  readonly #jetStream: JetStream;
  readonly #name: string;
  /** What is to be set, beside what the operator has set. */
  readonly #wanted: (existing: StreamConfig | undefined) => StreamConfig;
  /** Set once, so that two nodes that want different things do not go on for ever. */
  #isSet = false;

  constructor(
    jetStream: JetStream,
    name: string,
    wanted: (existing: StreamConfig | undefined) => StreamConfig,
  ) {
    this.#jetStream = jetStream;
    this.#name = name;
    this.#wanted = wanted;
  }

  /** What it is now, and how many messages a subject has. */
  async info(subject?: string): Promise<StreamInfo> {
    const body = subject === undefined ? undefined : { subjects_filter: subject };
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const found = await this.#api('STREAM.INFO', body, STREAM_NOT_FOUND);
      if (found.error !== undefined) {
        // In use: another node was faster.
        await this.#api('STREAM.CREATE', this.#wanted(undefined), STREAM_NAME_IN_USE);
      } else if (!this.#isSet) {
        await this.#set(found.config);
        this.#isSet = true;
      } else return this.#read(found, subject);
    }
    throw engineAway(`the stream ${this.#name} is neither there nor not there`);
  }

  async #set(config: StreamConfig | undefined): Promise<void> {
    const existing: Readonly<Record<string, unknown>> = { ...config };
    const wanted = this.#wanted(config);
    const isSo = Object.entries(wanted).every(
      ([name, value]) => JSON.stringify(existing[name]) === JSON.stringify(value),
    );
    if (!isSo) await this.#api('STREAM.UPDATE', { ...existing, ...wanted });
  }

  #read({ config, created, state }: JetStreamReply, subject = ''): StreamInfo {
    if (config === undefined || created === undefined || state === undefined) {
      throw engineAway(`JetStream says nothing of the stream ${this.#name}`);
    }
    const count = state.subjects?.[subject] ?? 0;
    return { config, created, first: state.first_seq, last: state.last_seq, count };
  }

  /** Stores a message; undefined where the answer is one of the expected errors. */
  async append(
    subject: string,
    payload: Uint8Array,
    headers: Readonly<Record<string, string>>,
    ...expected: readonly number[]
  ): Promise<{ readonly sequence: number; readonly isDuplicate: boolean } | undefined> {
    let reply = await this.#jetStream.publish(subject, payload, headers, ...expected);
    if (reply === undefined) {
      // Nobody listens, so that nothing was stored.
      await this.info();
      reply = await this.#jetStream.publish(subject, payload, headers, ...expected);
    }
    if (reply?.error !== undefined) return undefined;
    if (reply?.seq === undefined) throw engineAway(`the stream ${this.#name} does not answer`);
    return { sequence: reply.seq, isDuplicate: reply.duplicate === true };
  }

  /** The last message of a subject. */
  async last(subject: string): Promise<StoredMessage | undefined> {
    return this.#message({ last_by_subj: subject });
  }

  /** The first message of a subject, from a sequence on. */
  async next(subject: string, sequence: number): Promise<StoredMessage | undefined> {
    return this.#message({ seq: sequence, next_by_subj: subject });
  }

  async at(sequence: number): Promise<StoredMessage | undefined> {
    return this.#message({ seq: sequence });
  }

  async #message(which: object): Promise<StoredMessage | undefined> {
    const expected = [MESSAGE_NOT_FOUND, STREAM_NOT_FOUND];
    const { message } = await this.#api('STREAM.MSG.GET', which, ...expected);
    if (message === undefined) return undefined;
    const data = Buffer.from(message.data ?? '', 'base64');
    return { subject: message.subject, sequence: message.seq, data };
  }

  /** Removes one message, where it is there. Never rejects. */
  async remove(sequence: number): Promise<void> {
    await this.#api('STREAM.MSG.DELETE', { seq: sequence, no_erase: true }).catch(() => undefined);
  }

  /** All messages of the subjects that are kept, from a sequence on. */
  async read(filter: string, sequence: number): Promise<StoredMessage[]> {
    const config = {
      deliver_policy: 'by_start_sequence',
      opt_start_seq: Math.max(1, sequence),
      ack_policy: 'none',
      filter_subject: filter,
      replay_policy: 'instant',
      inactive_threshold: CONSUMER_MS * NANOSECONDS,
      mem_storage: true,
      num_replicas: 1,
    };
    // Without a stream there is nothing in it.
    const { name, num_pending: pending } = await this.#api(
      'CONSUMER.CREATE',
      { stream_name: this.#name, config },
      STREAM_NOT_FOUND,
    );
    if (name === undefined) return [];
    const messages: StoredMessage[] = [];
    try {
      let inVain = 0;
      for (let left = pending ?? 0; left > 0; ) {
        const before = messages.length;
        left = await this.#pull(name, left, messages);
        if (messages.length > before) continue;
        // What was counted may be gone meanwhile, which a server does not notice by itself.
        const from = (messages.at(-1)?.sequence ?? sequence - 1) + 1;
        if ((await this.next(filter, from)) === undefined) break;
        inVain += 1;
        if (inVain === ATTEMPTS) throw engineAway(`the stream ${this.#name} gives no messages`);
      }
    } finally {
      void this.#jetStream
        .api(`CONSUMER.DELETE.${this.#name}.${name}`, undefined)
        .catch(() => undefined);
    }
    return messages;
  }

  /** Adds what comes at once. Returns how many messages are left. */
  async #pull(consumer: string, pending: number, messages: StoredMessage[]): Promise<number> {
    const max_bytes = Math.max(BATCH_BYTES, 2 * this.#jetStream.maxPayload);
    let left = pending;
    let batch = BATCH;
    await this.#jetStream.receive(
      `CONSUMER.MSG.NEXT.${this.#name}.${consumer}`,
      { batch, max_bytes, no_wait: true, expires: EXPIRES_MS * NANOSECONDS },
      batch,
      ({ subject, reply, data, headers }) => {
        // A status ends the batch: nothing is there, or the next one is over its bytes.
        if ((headers?.code ?? 0) !== 0) return false;
        const place = placeOf(reply);
        messages.push({ subject, sequence: place.sequence, data });
        left = place.pending;
        batch -= 1;
        return batch > 0 && left > 0;
      },
    );
    return left;
  }

  #api(name: string, body: object | undefined, ...expected: number[]): Promise<JetStreamReply> {
    return this.#jetStream.api(`${name}.${this.#name}`, body, ...expected);
  }
}

/**
 * Where a message is to be acknowledged says which it is, and how many follow:
 * `$JS.ACK.stream.consumer.delivered.sequence.sequence of the consumer.time.pending`, with the domain and the account
 * before the stream on later servers.
 */
function placeOf(reply: string | undefined): { sequence: number; pending: number } {
  const tokens = reply?.split('.') ?? [];
  const stream = tokens.length >= 11 ? 4 : 2;
  const [sequence, pending] = [Number(tokens[stream + 3]), Number(tokens[stream + 6])];
  if (Number.isSafeInteger(sequence) && Number.isSafeInteger(pending)) return { sequence, pending };
  throw engineAway(`JetStream gives no sequence: ${reply}`);
}
