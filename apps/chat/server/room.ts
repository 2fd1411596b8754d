import { type History, type Presence, prepareMessage, type Server } from 'aperto';
import { inTime } from './engine.ts';
import { linesOf, messagesOf, type RoomEvent } from './room-events.ts';
import { RoomLog } from './room-log.ts';
import { RoomMembers } from './room-members.ts';
import { encodeSaid, type Said } from './said.ts';
import { type Change, decodeNotice, encodeNotice, type Notice } from './server-notices.ts';
import { isSuperchat, type Session, type Visitor } from './session.ts';
import { SharedRun } from './shared-run.ts';

/** What a room stands on. */
export interface RoomGround {
  /** By which the notices of this server are known. */
  readonly id: string;
  readonly server: () => Pick<Server<Session>, 'publish' | 'subscribe' | 'subscribed'>;
  readonly history: History;
  readonly presence: Presence;
  readonly historyMessages: number;
  /** What the engine could not do, unasked or for a visitor who is told less. */
  failed(error: unknown): void;
  /** The room takes more memory, or less. */
  grown(room: Room): void;
}

/**
 * How long until a room is looked at again: soon after a name has gone or the engine was away, when other servers may yet
 * have to put right what it has of them; then twice as long each time.
 */
const LOOK_MS = { soon: 1_000, usually: 30_000 } as const;

/**
 * A room on this server, while somebody here is in it: a replica of what the engine has, and the visitors who are told
 * of what changes in it.
 *
 * Between servers notices go through the room's topic. They may be lost: at a gap, and every now and then, the history
 * and the presence are looked at, and members are told what they have not been told.
 */
export class Room {
  readonly name: string;
  readonly topic: string;
  /** Who is in it or on the way in, by count: as long as there is one, the room stays. */
  holders = 0;
  readonly #ground: RoomGround;
  readonly #log: RoomLog;
  readonly #members: RoomMembers;
  readonly #seats = new Map<Visitor, string>();
  readonly #readLog = new SharedRun(() => this.#readOn());
  readonly #readMembers = new SharedRun(() => this.#compareMembers());
  #unsubscribe: (() => void) | undefined = undefined;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined = undefined;
  #looksAt = Number.POSITIVE_INFINITY;
  /** Until the look after the next. */
  #pauseMs: number = LOOK_MS.usually;

  constructor(name: string, ground: RoomGround) {
    this.name = name;
    this.topic = topicOfRoom(name);
    this.#ground = ground;
    this.#log = new RoomLog(ground.history, this.topic, ground.historyMessages);
    this.#members = new RoomMembers(ground.presence, this.topic);
  }

  /** Resolves once it has everything that the engine has. @throws where the engine does not answer. */
  async open(): Promise<void> {
    const { id } = this.#ground;
    const server = this.#ground.server();
    // Whatever is sent delivers first what waits in topics: in the middle of what is being told here, were it heard at once.
    this.#unsubscribe = server.subscribe(this.topic, {
      message: (data) => queueMicrotask(() => this.#heard(decodeNotice(data, id))),
      gap: () => queueMicrotask(() => this.#lookAfterLoss()),
    });
    // First the notices, then the reading: nothing comes between them. Where the engine is away, reading tells.
    await inTime(server.subscribed(this.topic));
    if (this.#isClosed) return;
    await Promise.all([this.#readLog.run(), this.#readMembers.run()]);
    this.#lookIn(LOOK_MS.usually);
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe?.();
    clearTimeout(this.#timer);
  }

  // --- What is in it

  /** The names present, in the order of their coming. */
  members(): string[] {
    return this.#members.all();
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  /** The last messages, oldest first. */
  history(): Said[] {
    return this.#log.all();
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return this.#log.bytes;
  }

  /** Gives the memory of its history back. */
  forget(): void {
    this.#log.forget();
  }

  // --- Coming and going

  /** Enters a name; whether it is new. */
  enterName(name: string): Promise<boolean> {
    const isNew = () => !this.#members.has(name);
    return this.#orElse(this.#ground.presence.enter(this.topic, name), isNew);
  }

  /** Takes a name back; whether it is gone. */
  leaveName(name: string): Promise<boolean> {
    const isGone = () => !this.#isSeated(name);
    return this.#orElse(this.#ground.presence.leave(this.topic, name), isGone);
  }

  /** What the presence says, or where the engine does not answer, what this server knows. */
  async #orElse(answer: Promise<boolean>, guess: () => boolean): Promise<boolean> {
    try {
      return await inTime(answer);
    } catch (error) {
      this.#ground.failed(error);
      return guess();
    }
  }

  /** A visitor has a name here from now on, that was entered. */
  seat(peer: Visitor, name: string, isNew: boolean): void {
    this.#seats.set(peer, name);
    if (!isNew && this.#members.has(name)) return;
    this.#announce({ type: 'joined', name }, peer);
  }

  rename(peer: Visitor, from: string, to: string, isGone: boolean, isNew: boolean): void {
    this.#seats.set(peer, to);
    this.#announce({ type: 'renamed', from, to, isGone, isNew }, peer);
  }

  /** Is told of nothing any more. */
  unseat(peer: Visitor): void {
    this.#seats.delete(peer);
  }

  /** A name that was taken back is gone. */
  left(name: string): void {
    this.#announce({ type: 'left', name });
  }

  #isSeated(name: string): boolean {
    for (const seated of this.#seats.values()) if (seated === name) return true;
    return false;
  }

  // --- What was said

  /**
   * Keeps a message, so that it is said on all servers, here as soon as it is read.
   * @returns the message that was said under this id before, where that was earlier than what this server has.
   * @throws where the engine does not answer; it may be kept all the same.
   */
  async say(said: Said): Promise<Said | undefined> {
    const { history } = this.#ground;
    const known = this.#log.find(said.id);
    if (known !== undefined) return known;
    let isDuplicate: boolean;
    try {
      const appended = inTime(history.append(this.topic, encodeSaid(said), said.id));
      isDuplicate = (await appended).duplicate;
      this.#publish({ type: 'said' });
      await this.#readLog.run();
    } catch (error) {
      // It may be there.
      this.#lookIn(LOOK_MS.soon);
      throw error;
    }
    if (!isDuplicate || this.#log.find(said.id) !== undefined) return undefined;
    // An engine may know an id longer than the message.
    return (await this.#log.findEarlier(said.id)) ?? said;
  }

  async #readOn(): Promise<void> {
    const { said, isMissing } = await this.#log.read();
    if (this.#isClosed || (said.length === 0 && !isMissing)) return;
    this.#ground.grown(this);
    if (isMissing) this.#tell({ type: 'missing', said, history: this.#log.all() });
    else for (const one of said) this.#tell({ type: 'said', said: one });
  }

  // --- Telling

  /** Tells the members of this server, and the other servers. */
  #announce(notice: Change, by?: Visitor): void {
    this.#apply(notice, by);
    this.#publish(notice);
  }

  #publish(notice: Notice): void {
    // Where it does not reach the other servers, they look for themselves.
    const { id, server } = this.#ground;
    server().publish(this.topic, encodeNotice(notice, id));
  }

  #heard(notice: Notice | undefined): void {
    if (notice === undefined || this.#isClosed) return;
    if (notice.type === 'said') void this.#readLog.run().catch((error) => this.#failed(error));
    else this.#apply(notice);
  }

  #apply(notice: Change, by?: Visitor): void {
    switch (notice.type) {
      case 'joined':
        if (this.#members.add(notice.name)) this.#tell(notice, by);
        break;
      case 'left':
        if (!this.#isSeated(notice.name) && this.#members.remove(notice.name)) this.#tell(notice);
        break;
      case 'renamed': {
        const { from, to } = notice;
        const isGone = notice.isGone && !this.#isSeated(from) && this.#members.remove(from);
        const isNew = this.#members.add(to);
        this.#tell({ type: 'renamed', from, to, isGone, isNew }, by);
      }
    }
    // It may have come back on another server, whose notice was the faster one.
    if (notice.type !== 'joined') this.#lookIn(LOOK_MS.soon);
  }

  /** Each event is encoded once a subprotocol. Who caused it is answered otherwise, unless by a line. */
  #tell(event: RoomEvent, by?: Visitor): void {
    if (this.#seats.size === 0) return;
    const lines = linesOf(event).map((line) => prepareMessage(line));
    const messages = messagesOf(this.name, event).map((message) => prepareMessage(message));
    for (const peer of this.#seats.keys()) {
      if (peer === by && (event.type !== 'renamed' || isSuperchat(peer))) continue;
      for (const message of isSuperchat(peer) ? messages : lines) peer.send(message);
    }
  }

  // --- Looking

  /** Reads what the notices should have told. */
  #look(): void {
    clearTimeout(this.#timer);
    this.#looksAt = Number.POSITIVE_INFINITY;
    if (this.#isClosed) return;
    Promise.all([this.#readLog.run(), this.#readMembers.run()]).then(
      () => {
        this.#lookIn(this.#pauseMs);
        this.#pauseMs = Math.min(2 * this.#pauseMs, LOOK_MS.usually);
      },
      (error) => this.#failed(error),
    );
  }

  #lookAfterLoss(): void {
    this.#pauseMs = LOOK_MS.soon;
    this.#look();
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return;
    this.#ground.failed(error);
    this.#pauseMs = LOOK_MS.soon;
    this.#lookIn(LOOK_MS.soon);
  }

  /** Somewhat earlier or later, so that not all rooms are looked at together. */
  #lookIn(ms: number): void {
    const at = performance.now() + ms * (0.75 + 0.5 * Math.random());
    if (this.#isClosed || at >= this.#looksAt) return;
    clearTimeout(this.#timer);
    this.#looksAt = at;
    this.#timer = setTimeout(() => this.#look(), at - performance.now());
    this.#timer.unref();
  }

  async #compareMembers(): Promise<void> {
    const { joined, left } = await this.#members.read((name) => this.#isSeated(name));
    if (this.#isClosed) return;
    for (const name of left) this.#tell({ type: 'left', name });
    for (const name of joined) this.#tell({ type: 'joined', name });
  }
}

const prefix = 'chat:';

/** Of the topic at the broker, of the history and of the presence. */
function topicOfRoom(room: string): string {
  return prefix + room;
}

export function roomOfTopic(topic: string): string {
  return topic.slice(prefix.length);
}
