import { type ClientPeer, connect, type Message } from '../../index.ts';
import type { Dial, Load, LoadPlan, Tally } from './load.ts';
import { MessageStream } from './message-stream.ts';
import { OpenLoop } from './open-loop.ts';
import { Payloads } from './payloads.ts';

/** With a rate it is not known how many messages will be on their way. */
const ROOM_WITH_RATE = 64;

/**
 * Echo: each connection sends and receives a stream of its own. Fan-out: the first connection sends one
 * stream, and all receive it.
 */
export class MessageLoad implements Load {
  readonly payloads: Payloads;
  readonly tally: Tally;
  readonly #url: string;
  readonly #dial: Dial;
  readonly #isFanOut: boolean;
  /** Undefined with a rate. */
  readonly #inFlight: number | undefined;
  readonly #openLoop: OpenLoop | undefined;
  readonly #streams: MessageStream[] = [];
  readonly #receivers: Receiver[] = [];
  #senders = 0;
  #sending = false;

  constructor(plan: LoadPlan, dial: Dial, tally: Tally) {
    this.#url = plan.url;
    this.#dial = dial;
    this.#isFanOut = plan.mode === 'fan-out';
    this.#inFlight = plan.inFlight;
    this.tally = tally;
    this.payloads = new Payloads(plan.size, plan.binary, plan.json);
    this.#openLoop =
      plan.rate === undefined
        ? undefined
        : new OpenLoop(plan.rate, this.#streams, (stream, due) => this.#send(stream, due));
  }

  async open(): Promise<void> {
    const stream = this.#streamFor(this.#receivers.length);
    const receiver = new Receiver(this, stream);
    this.#receivers.push(receiver);
    const peer = await connect(this.#url, {
      ...this.#dial,
      message: (_, data) => receiver.message(data),
      drain: (of) => this.drained(stream, of),
      close: (of) => receiver.close(of),
    });
    receiver.peer = peer;
    stream.receivers++;
    if (stream.sender !== undefined) return;
    stream.sender = peer;
    this.#senders++;
  }

  #streamFor(connection: number): MessageStream {
    const [only] = this.#streams;
    if (this.#isFanOut && only !== undefined) return only;
    // Each begins with another payload, so that one that comes to the wrong connection is noticed.
    const stream = new MessageStream(connection, this.#inFlight ?? ROOM_WITH_RATE);
    this.#streams.push(stream);
    return stream;
  }

  start(): void {
    this.#sending = true;
    if (this.#openLoop !== undefined) {
      this.#openLoop.start();
      return;
    }
    for (const stream of this.#streams) {
      for (let sent = 0; sent < (this.#inFlight ?? 0); sent++)
        this.#send(stream, performance.now());
    }
  }

  stop(): void {
    this.#sending = false;
    this.#openLoop?.stop();
  }

  get outstanding(): number {
    let sum = 0;
    for (const receiver of this.#receivers) sum += receiver.outstanding;
    return sum;
  }

  peers(): readonly ClientPeer[] {
    return this.#receivers.flatMap(({ peer }) => (peer === undefined ? [] : [peer]));
  }

  #send(stream: MessageStream, time: number): void {
    const { sender } = stream;
    if (sender === undefined) return;
    const message = this.payloads.at(stream.next);
    stream.push(time);
    if (!sender.send(message)) stream.blocked = true;
  }

  /** All have received a message of the stream. */
  completed(stream: MessageStream, now: number): void {
    if (this.#sending && this.#openLoop === undefined) this.#send(stream, now);
  }

  drained(stream: MessageStream, peer: ClientPeer): void {
    if (stream.sender !== peer) return;
    stream.blocked = false;
    this.#openLoop?.catchUp(stream);
  }

  lost(stream: MessageStream, peer: ClientPeer): void {
    this.tally.lostPeer(peer);
    stream.receivers--;
    if (stream.sender !== peer) return;
    stream.sender = undefined;
    this.#senders--;
    if (this.#senders === 0) this.tally.over();
  }
}

/** What one connection receives. */
class Receiver {
  peer: ClientPeer | undefined = undefined;
  readonly #load: MessageLoad;
  readonly #stream: MessageStream;
  /** The turn that is to come next. */
  #turn: number;
  #isLost = false;

  constructor(load: MessageLoad, stream: MessageStream) {
    this.#load = load;
    this.#stream = stream;
    this.#turn = stream.next;
  }

  /** Messages that are still to come; none that nobody sends any more. */
  get outstanding(): number {
    const isDead = this.#isLost || this.#stream.sender === undefined;
    return isDead ? 0 : this.#stream.next - this.#turn;
  }

  message(data: Message): void {
    const turn = this.#turn;
    if (turn < this.#stream.next && this.#load.payloads.matches(turn, data)) this.#take(turn);
    else this.#misplaced(data);
  }

  #take(turn: number): void {
    const now = performance.now();
    this.#load.tally.took(now - this.#stream.sentAt(turn));
    this.#done(turn, now);
  }

  #done(turn: number, now: number): void {
    this.#turn = turn + 1;
    if (this.#stream.received(turn)) this.#load.completed(this.#stream, now);
  }

  /** What came is not what was to come next. */
  #misplaced(data: Message): void {
    const { tally, payloads } = this.#load;
    const due = this.#turn;
    const end = Math.min(this.#stream.next, due + payloads.count);
    let turn = due + 1;
    while (turn < end && !payloads.matches(turn, data)) turn++;
    if (turn < end) {
      // Those before it are lost, or overtaken and wrong when they come.
      tally.wrong += turn - due;
      for (let missing = due; missing < turn; missing++) this.#done(missing, performance.now());
      this.#take(turn);
      return;
    }
    tally.arrived++;
    tally.wrong++;
    // One that we know came twice or late. One that we do not know is the next, damaged.
    if (due < this.#stream.next && !payloads.includes(data)) this.#done(due, performance.now());
  }

  close(peer: ClientPeer): void {
    this.#isLost = true;
    const end = this.#stream.next;
    this.#load.lost(this.#stream, peer);
    for (let turn = this.#turn; turn < end; turn++) this.#done(turn, performance.now());
  }
}
