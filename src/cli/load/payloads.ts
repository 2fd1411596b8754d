import { type Message, prepareMessage } from '../../index.ts';

type PreparedMessage = ReturnType<typeof prepareMessage>;

/** 64 characters of one byte each. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** Payloads take no more than this, unless that makes them too few to tell one from the next. */
const MOST_BYTES = 16 * 1024 * 1024;
const FEWEST = 4;

/**
 * What is sent in turn: payloads of one size, all different, so that one that is lost, doubled, damaged or
 * in another's place is noticed. The empty one is alone.
 */
export class Payloads {
  readonly size: number;
  /** A power of two. */
  readonly count: number;
  readonly #contents: readonly (string | Buffer)[];
  readonly #prepared: readonly PreparedMessage[];
  readonly #mask: number;

  /** @param json whether they are made of JSON, for compression; else of letters that hardly compress. */
  constructor(size: number, binary: boolean, json: boolean) {
    this.size = size;
    let count = size === 0 ? 1 : ALPHABET.length;
    while (count > FEWEST && count * size > MOST_BYTES) count /= 2;
    this.count = count;
    this.#mask = count - 1;
    const texts = Array.from({ length: count }, (_, index) =>
      json ? records(size, index) : letters(size, index),
    );
    this.#contents = binary ? texts.map((one) => Buffer.from(one, 'latin1')) : texts;
    this.#prepared = this.#contents.map((one) => prepareMessage(one));
  }

  /** The message whose turn it is. */
  at(turn: number): PreparedMessage {
    return this.#prepared[turn & this.#mask] as PreparedMessage;
  }

  /** Whether this is the message of that turn. */
  matches(turn: number, data: Message): boolean {
    const content = this.#contents[turn & this.#mask] as string | Buffer;
    if (typeof content === 'string') return content === data;
    return typeof data !== 'string' && content.equals(data);
  }

  /** Whether this is the message of any turn. */
  includes(data: Message): boolean {
    for (let turn = 0; turn < this.count; turn++) if (this.matches(turn, data)) return true;
    return false;
  }
}

/** Begins with a character of its own; the rest differs from place to place. */
function letters(size: number, index: number): string {
  if (size === 0) return '';
  const bytes = Buffer.alloc(size);
  const random = xorshift(index);
  for (let at = 0; at < size; at++) bytes[at] = ALPHABET.charCodeAt(random() & 63);
  bytes[0] = ALPHABET.charCodeAt(index);
  return bytes.toString('latin1');
}

/** As `letters`, but records in JSON as a ticker or a chat sends them, cut to size. */
function records(size: number, index: number): string {
  const random = xorshift(index);
  let text = ALPHABET.charAt(index);
  while (text.length < size) {
    const id = random() >>> 8;
    const record = { id, user: `user-${id % 1000}`, price: (id % 100_000) / 100, at: 1.7e12 + id };
    text += JSON.stringify({
      type: 'trade',
      symbol: ALPHABET.slice(id & 31, (id & 31) + 4),
      ...record,
    });
  }
  return text.slice(0, size);
}

/** Numbers of 32 bits, signed, that look random and are the same each time. */
function xorshift(seed: number): () => number {
  let state = 0x9e3779b9 + seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}
