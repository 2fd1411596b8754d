import assert from 'node:assert/strict';
import { ConnectionState } from '../../../dist/protocol/connection-state.js';
import { type Limits, resolveLimits } from '../../../dist/protocol/limits.js';
import type { Message } from '../../../dist/protocol/messages/message-assembler.js';
import { PreparedMessage } from '../../../dist/protocol/messages/prepared-message.js';
import { CLOSE, Harness, PING, type Sent, type Told } from '../../protocol/connection-harness.ts';
import { compressionSettings, NO_TAKEOVER, TAKEOVER } from '../../protocol/test-compression.ts';
import { testPlatform } from '../../protocol/test-platform.ts';
import { concatBytes } from '../../reference-codec.ts';
import { someFrames } from '../frame-stream.ts';
import { Input } from '../input.ts';
import type { Target } from '../target.ts';

const small: Partial<Limits> = { maxMessageBytes: 200, maxFragments: 4 };
const rates: Partial<Limits> = {
  messagesPerSecond: 1,
  messageBurst: 3,
  controlFramesPerSecond: 1,
  controlFrameBurst: 3,
};
const scarce: Partial<Limits> = { maxUnfinishedBytes: 400, maxMessageBytes: 5_000 };
const PASSING = [1, 999, 5_000, 20_000, 31_000];

interface Heard {
  readonly told: readonly Told[];
  readonly sent: readonly Sent[];
}

/** A host, its application and its peer, who do what the input says. */
class Run {
  readonly harness: Harness;
  readonly #input: Input;
  readonly #options: number;
  readonly #limits: Limits;
  readonly #bytewise: boolean;
  readonly #compression: ReturnType<typeof compressionSettings> | undefined;
  /** What has come and was not taken in yet. */
  #waiting: Uint8Array = new Uint8Array(0);
  #isPaused = false;
  #isEnded = false;
  #received = 0;

  constructor(bytes: Uint8Array, bytewise: boolean) {
    this.#input = new Input(bytes);
    this.#bytewise = bytewise;
    this.#options = this.#input.byte();
    const limits = [{}, small, rates, scarce][(this.#options >> 4) & 3] ?? {};
    this.#limits = resolveLimits(limits);
    if ((this.#options & 2) !== 0) {
      const agreement = (this.#options & 4) === 0 ? NO_TAKEOVER : TAKEOVER;
      this.#compression = compressionSettings(agreement, { threshold: 4 });
      const laterAbove = (this.#options & 64) === 0 ? Number.POSITIVE_INFINITY : 20;
      this.#compression.port.inflateLaterAbove = laterAbove;
      this.#compression.port.deflateLaterAbove = laterAbove;
    }
    this.harness = new Harness((this.#options & 1) !== 0, limits, this.#compression);
    const reaction = this.#input.byte() & 3;
    this.harness.onEachMessage = (message) => this.#react(reaction, message);
  }

  #react(reaction: number, message: Message): void {
    const { connection } = this.harness;
    assert.equal(connection.state, ConnectionState.OPEN, 'a message while it is not open');
    if (reaction === 1) this.#send(message, true);
    else if (reaction === 2) connection.close(1000, new Uint8Array(0));
    else if (reaction === 3) this.#pause();
  }

  #pause(): void {
    this.#isPaused = true;
    this.harness.connection.pause();
  }

  #send(message: Message, compress: boolean): void {
    const { connection } = this.harness;
    if (connection.state !== ConnectionState.OPEN) return;
    if (typeof message === 'string') connection.sendText(message, compress);
    else connection.sendBinary(message, compress);
  }

  /** Hands in what the connection takes. */
  #deliver(): void {
    const { connection } = this.harness;
    while (this.#waiting.length > 0 && !this.#isPaused && !connection.inflating && !this.#isEnded) {
      // Memory of its own, since it is unmasked in place.
      const piece = Uint8Array.from(this.#bytewise ? this.#waiting.subarray(0, 1) : this.#waiting);
      const borrowed = (this.#options & 8) !== 0;
      const taken = this.harness.chunk(piece, 0, borrowed);
      assert.ok(taken > 0 || this.#isPaused || connection.inflating, 'it takes nothing');
      if (borrowed) piece.fill(0xee);
      this.#waiting = this.#waiting.subarray(taken);
      this.#check();
    }
  }

  #check(): void {
    const { unfinished } = testPlatform;
    assert.ok(unfinished.bytes >= 0 && unfinished.bytes <= this.#limits.maxUnfinishedBytes);
    // Four times what there is, and the least that a fragment counts for.
    assert.ok(unfinished.bytes <= 4 * this.#received + 64 * (this.#received + 1));
    if (
      !this.#isEnded &&
      this.harness.told.some((told) => 'transport' in told && told.transport === 'destroy')
    )
      this.#end();
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.harness.connection.transportClosed();
  }

  #step(): void {
    const input = this.#input;
    const { harness } = this;
    const { connection } = harness;
    const operation = input.byte() & 15;
    switch (operation) {
      case 7:
        harness.pass(PASSING[input.byte() % PASSING.length] ?? 1);
        break;
      case 8:
        this.#send(Buffer.from(input.take(input.byte())).toString('latin1'), true);
        break;
      case 9: {
        const options = input.byte();
        this.#send(input.take(options >> 1), (options & 1) !== 0);
        break;
      }
      case 10:
        connection.close(1000 + (input.byte() % 4), input.take(input.byte() % 124));
        break;
      case 11:
        if (this.#isPaused) {
          this.#isPaused = false;
          connection.resume();
        } else this.#pause();
        break;
      case 12:
        harness.backlogged = !harness.backlogged;
        if (!harness.backlogged) connection.drained();
        break;
      case 13:
        this.#compression?.port.finishOne();
        break;
      case 14: {
        const choice = input.byte() & 7;
        if (this.#isEnded) break;
        if (choice === 0) connection.transportEnded();
        else if (choice === 1) this.#end();
        else if (choice === 2) connection.noteLife(harness.time);
        else if (choice === 3 && connection.state === ConnectionState.OPEN) {
          connection.sendBytes(PING, input.take(input.byte() % 126));
        }
        break;
      }
      case 15: {
        if (connection.state !== ConnectionState.OPEN) break;
        const data = input.take(input.byte());
        connection.sendPrepared(PreparedMessage.encode(data, testPlatform, true), true);
        break;
      }
      default: {
        const size = input.byte() * (operation + 1);
        const came = input.take(size);
        this.#received += came.length;
        if (!this.#isEnded) this.#waiting = Buffer.concat([this.#waiting, came]);
      }
    }
  }

  run(): Heard {
    while (!this.#input.isAtEnd) {
      this.#step();
      this.#deliver();
      this.#check();
    }
    while (this.#compression?.port.finishOne()) this.#deliver();
    this.#check();
    this.#end();
    while (this.#compression?.port.finishOne());
    return { told: this.harness.heard(), sent: this.harness.sent() };
  }
}

function assertInOrder({ told, sent }: Heard): void {
  const ends = told.filter((one) => 'end' in one);
  assert.equal(ends.length, 1, 'one end');
  assert.ok('end' in (told.at(-1) ?? {}), `the end is last: ${JSON.stringify(told)}`);
  const close = sent.findIndex(({ opcode }) => opcode === CLOSE);
  assert.ok(close < 0 || close === sent.length - 1, 'a frame behind a close frame');
  for (const { opcode, payload } of sent) assert.ok(opcode < CLOSE || payload.length <= 125);
}

export const connection: Target = {
  name: 'connection',
  invariant:
    'Whatever comes, however it is cut, and whatever the application and the clock do in between, on either side nothing throws, legal frames go out with a close frame last, messages come only while it is open and one end comes last, no more is held than the limits allow and nothing at the end, and byte by byte it all is the same.',
  run(bytes) {
    assert.equal(testPlatform.unfinished.bytes, 0);
    try {
      const heard = new Run(bytes, false).run();
      assertInOrder(heard);
      assert.equal(testPlatform.unfinished.bytes, 0, 'something is held for ever');
      const [options = 0] = bytes;
      // How much is held while something is unfinished depends on how it comes.
      if (((options >> 4) & 3) !== 3) assert.deepEqual(new Run(bytes, true).run(), heard);
      const [last] = heard.told.slice(-1);
      return `${options & 7} ${last && 'end' in last ? `${last.end.error} ${last.end.code}` : ''} ${heard.told.length > 1}`;
    } finally {
      testPlatform.unfinished.bytes = 0;
    }
  },
  generate(random) {
    const options = random.below(128);
    const parts: Uint8Array[] = [Uint8Array.of(options, random.below(8) > 3 ? 0 : random.below(4))];
    for (let count = 1 + random.below(6); count > 0; count--) {
      const frames = someFrames(random, (options & 1) !== 0, (options & 2) !== 0);
      const cut = random.oneIn(2) ? random.below(frames.length + 1) : frames.length;
      for (const piece of [frames.subarray(0, cut), frames.subarray(cut)]) {
        const factor = 1 + Math.min(6, Math.ceil(piece.length / 255));
        parts.push(Uint8Array.of(factor - 1, Math.ceil(piece.length / factor)), piece);
        if (random.oneIn(2))
          parts.push(Uint8Array.of(7 + random.below(9), ...random.bytes(random.below(6))));
      }
    }
    return concatBytes(...parts);
  },
};
