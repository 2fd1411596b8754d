import type { Random } from '../random.ts';
import { Ledger, type LedgerTotals } from './ledger.ts';
import { type Link, type LinkEvents, RawLink, TlsLink } from './link.ts';
import { FAR_TOPICS, HTTP2_SHARE, TLS_SHARE } from './plan.ts';
import type { Listening } from './process-messages.ts';

const ECHO_SIZES = [4, 60, 120, 130, 1_000, 8_000] as const;
const ECHO_MS = 10_000;
const CLOSE_MS = 10_000;

/** What members share. */
export interface Membership {
  readonly listening: Listening;
  readonly localTopics: number;
  readonly hasFar: boolean;
  readonly totals: LedgerTotals;
  readonly random: Random;
  echoed(): void;
  problem(what: string): void;
  /** It is gone, and whether that was its own wish. */
  gone(member: Member): void;
}

/** A well-behaved client: hears topics and keeps the ledger of them, sends and gets echoes, leaves one way or other. */
export class Member implements LinkEvents {
  readonly #shared: Membership;
  readonly #link: Link;
  readonly #way: 'TCP' | 'TLS' | 'HTTP/2';
  readonly #farTopic: number | undefined;
  #local: Ledger | undefined = undefined;
  readonly #far: Ledger;
  /** What must come back, and since when it is awaited. */
  #echo: { readonly data: string | Buffer; readonly since: number } | undefined = undefined;
  #leaving: 'no' | 'asked' | 'closing' | 'cut' = 'no';
  #leavingSince = 0;
  #lastFar: readonly number[] | undefined = undefined;

  constructor(shared: Membership) {
    this.#shared = shared;
    const { random, listening, localTopics } = shared;
    this.#far = new Ledger('far', shared.totals, undefined);
    // Every other one also hears a topic of the other server.
    this.#farTopic = shared.hasFar && random.next() < 0.5 ? random.below(FAR_TOPICS) : undefined;
    const far = this.#farTopic === undefined ? '' : `&far=${this.#farTopic}`;
    const path = `/member?local=${random.below(localTopics)}${far}`;
    const way = random.next();
    if (way < HTTP2_SHARE + TLS_SHARE) {
      const isHttp2 = way < HTTP2_SHARE;
      this.#way = isHttp2 ? 'HTTP/2' : 'TLS';
      this.#link = new TlsLink(listening.tls, path, listening.certificate, isHttp2, this);
    } else {
      this.#way = 'TCP';
      this.#link = new RawLink(listening.tcp, path, random, this);
    }
  }

  get isOpen(): boolean {
    return this.#local !== undefined && this.#leaving === 'no';
  }

  message(data: string | Uint8Array): void {
    if (typeof data !== 'string' || data.startsWith('e')) {
      this.#echoed(data);
      return;
    }
    const [kind, first, second] = data.split(' ', 3);
    if (kind === 's') this.#local = new Ledger('local', this.#shared.totals, Number(first) + 1);
    else if (kind === 'l') this.#local?.message(Number(first));
    else if (kind === 'f' && Number(first) === this.#farTopic) this.#far.message(Number(second));
    else if (kind === 'b') this.#bye(Number(first));
    else if (kind === 'g') {
      // Of its own server's topics nothing may be lost, whatever the engine does.
      if (first === `far/${this.#farTopic}`) this.#far.gap();
    } else this.#shared.problem(`a member heard ${kind}`);
  }

  /** Sends something to come back, unless it still waits. */
  echo(now: number): void {
    if (!this.isOpen) return;
    if (this.#echo !== undefined) {
      if (now - this.#echo.since > ECHO_MS) this.#shared.problem('no echo');
      return;
    }
    const { random } = this.#shared;
    const size = random.pick(ECHO_SIZES);
    const data =
      random.next() < 0.5
        ? `e${random.below(1e6)}`.padEnd(size, 'ü')
        : Buffer.from(random.bytes(size));
    this.#echo = { data, since: now };
    this.#link.send(data);
  }

  #echoed(data: string | Uint8Array): void {
    const sent = this.#echo?.data;
    this.#echo = undefined;
    const isSame =
      typeof data === 'string' || typeof sent !== 'object' ? data === sent : sent.equals(data);
    if (isSame) this.#shared.echoed();
    else this.#shared.problem('a wrong echo');
  }

  /** In order: it asks what it should have had, and closes. */
  leave(now: number, lastFar?: readonly number[]): void {
    if (this.#leaving !== 'no') return;
    this.#leaving = 'asked';
    this.#leavingSince = now;
    this.#lastFar = lastFar;
    this.#link.send('b');
  }

  #bye(last: number): void {
    this.#local?.upTo(last);
    const lastFar = this.#farTopic === undefined ? undefined : this.#lastFar?.[this.#farTopic];
    if (lastFar !== undefined) this.#far.upTo(lastFar);
    if (this.#echo !== undefined) this.#shared.problem('no echo before the end');
    this.#leaving = 'closing';
    this.#link.close();
  }

  cut(how: 'terminate' | 'reset'): void {
    this.#leaving = 'cut';
    this.#link[how]();
  }

  /** Gives up where its leaving takes too long. */
  look(now: number): void {
    if (this.#leaving === 'no' || now - this.#leavingSince < CLOSE_MS) return;
    if (this.#leaving !== 'cut')
      this.#shared.problem(`no answer to ${this.#leaving === 'asked' ? 'a goodbye' : 'a close'}`);
    this.cut('terminate');
  }

  ended(code: number, why: string): void {
    const isGood = this.#leaving === 'cut' || (this.#leaving === 'closing' && code === 1000);
    if (!isGood)
      this.#shared.problem(
        `a member (${this.#way}, leaving: ${this.#leaving}) was ended with ${code} ${why}`,
      );
    this.#shared.gone(this);
  }
}
