import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Attempt } from './attempt.ts';
import { connectError } from './connect-error.ts';
import type { DialPlan } from './dial-plan.ts';
import { type SharedSession, startSession } from './http2-session.ts';
import { checkReady, openConnection } from './opening-request.ts';
import type { HttpProxy } from './proxy.ts';
import type { Hop } from './redirects.ts';

/** That long a server that does not take WebSocket connections over HTTP/2 is not asked for it again. */
const DECLINED_MS = 60_000;

/** Of so many servers that is known. */
const MAX_DECLINED = 100;

/** What a session is for: who has the same may share it. */
interface Purpose {
  /** All that is text. */
  readonly name: string;
  /** What cannot be compared as text. */
  readonly parts: readonly object[];
}

/** What came of an attempt to open a session. */
interface Outcome {
  readonly session?: SharedSession;
  /** A connection on which the server wants to speak HTTP/1.1. */
  socket?: Socket | undefined;
}

const sessions = new Set<{ readonly purpose: Purpose; readonly session: SharedSession }>();
const openings = new Set<Opening>();
const declined = new Set<{ readonly purpose: Purpose; readonly until: number }>();

/**
 * Finds or opens a session for one more stream, whose place is kept.
 * @returns a connection that is for HTTP/1.1, or undefined, where there is none.
 * @throws {ApertoError} as `openConnection` and `startSession`. Why the attempt was given up.
 */
export async function findSession(
  plan: DialPlan,
  hop: Hop,
  proxy: HttpProxy | undefined,
  attempt: Attempt,
): Promise<SharedSession | Socket | undefined> {
  // Most processes have no session at all.
  if (plan.options.http2 !== true && sessions.size === 0) return undefined;
  const purpose = purposeOf(plan, hop, proxy);
  for (;;) {
    const found = readySession(purpose);
    if (found !== undefined || plan.options.http2 !== true || isDeclined(purpose)) return found;
    const opening =
      entryFor(openings, purpose) ??
      new Opening(purpose, (own) => openSession(purpose, plan, hop, proxy, own));
    const outcome = await opening.join(attempt);
    const { session, socket } = outcome;
    if (session?.isRetired === true) {
      throw connectError(new Error('the server has ended the session at once'), '');
    }
    if (session === undefined) {
      // One alone can have it.
      outcome.socket = undefined;
      return socket;
    }
    // Where others have taken all places, another session is opened.
  }
}

function purposeOf(plan: DialPlan, { target, tls }: Hop, proxy: HttpProxy | undefined): Purpose {
  const { encrypted, host, port, socketPath } = target;
  const { lookup, localAddress, family } = plan.address;
  const { proxyTls = {}, tls: ownTls = {} } = plan.options;
  // The plan's has certificates in it that were read anew.
  const given = tls === plan.hop.tls ? ownTls : tls;
  return {
    name: JSON.stringify([
      ...[encrypted, host, port, socketPath, plan.maxHeaderSize, localAddress, family],
      ...[proxy?.encrypted, proxy?.host, proxy?.port, proxy?.authorization],
    ]),
    parts: [
      encrypted ? { ...given } : {},
      proxy?.encrypted === true ? { ...proxyTls } : {},
      { lookup },
    ],
  };
}

function entryFor<Entry extends { readonly purpose: Purpose }>(
  entries: ReadonlySet<Entry>,
  { name, parts }: Purpose,
  fits: (entry: Entry) => boolean = () => true,
): Entry | undefined {
  for (const entry of entries) {
    const { purpose } = entry;
    if (purpose.name !== name || !fits(entry)) continue;
    if (parts.every((part, at) => haveSame(part, purpose.parts[at] ?? {}))) return entry;
  }
  return undefined;
}

/** Whether two have the same values, also in arrays: options are often written anew for each call. */
function haveSame(one: object, other: object): boolean {
  const entries = Object.entries(one);
  if (entries.length !== Object.keys(other).length) return false;
  return entries.every(([name, value]) => {
    const same: unknown = Reflect.get(other, name);
    if (Array.isArray(value) && Array.isArray(same)) {
      return value.length === same.length && value.every((item, at) => Object.is(item, same[at]));
    }
    return Object.hasOwn(other, name) && Object.is(value, same);
  });
}

function readySession(purpose: Purpose): SharedSession | undefined {
  const session = entryFor(sessions, purpose, (entry) => entry.session.hasRoom)?.session;
  session?.reserve();
  return session;
}

function isDeclined(purpose: Purpose): boolean {
  const entry = entryFor(declined, purpose);
  if (entry === undefined) return false;
  if (entry.until > performance.now()) return true;
  declined.delete(entry);
  return false;
}

function noteDeclined(purpose: Purpose): void {
  declined.add({ purpose, until: performance.now() + DECLINED_MS });
  for (const oldest of declined) {
    if (declined.size <= MAX_DECLINED) return;
    declined.delete(oldest);
  }
}

/** A session that is being opened, for all who wait for it. */
class Opening {
  readonly purpose: Purpose;
  readonly #attempt = new Attempt();
  readonly #outcome: Promise<Outcome>;
  #waiting = 0;

  constructor(purpose: Purpose, open: (attempt: Attempt) => Promise<Outcome>) {
    this.purpose = purpose;
    openings.add(this);
    this.#outcome = open(this.#attempt).finally(() => openings.delete(this));
  }

  /** Waits for it. It is given up once nobody does any more. */
  join(attempt: Attempt): Promise<Outcome> {
    this.#waiting++;
    return new Promise((resolve, reject) => {
      attempt.stop = () => {
        reject(attempt.reason);
        this.#waiting--;
        if (this.#waiting > 0) return;
        openings.delete(this);
        this.#attempt.giveUp(attempt.reason);
      };
      this.#outcome.then(resolve, reject);
      if (attempt.isGivenUp) attempt.stop();
    });
  }
}

async function openSession(
  purpose: Purpose,
  plan: DialPlan,
  hop: Hop,
  proxy: HttpProxy | undefined,
  attempt: Attempt,
): Promise<Outcome> {
  const { encrypted } = hop.target;
  const socket = await openConnection(plan, hop, proxy, attempt, ['h2', 'http/1.1']);
  await connected(socket, encrypted, attempt);
  checkReady(socket, attempt);
  if (encrypted && (!(socket instanceof TLSSocket) || socket.alpnProtocol !== 'h2')) {
    attempt.stop = () => socket.destroy();
    return { socket };
  }
  const session = await startSession(socket, encrypted, plan.maxHeaderSize, attempt);
  if (session === undefined) {
    noteDeclined(purpose);
    return {};
  }
  const entry = { purpose, session };
  if (!session.isRetired) sessions.add(entry);
  session.onRetired = () => sessions.delete(entry);
  return { session };
}

/** Waits until there is a connection, and TLS where there is to be. */
function connected(socket: Socket, encrypted: boolean, attempt: Attempt): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(error);
      socket.destroy();
    };
    const done = (): void => {
      attempt.stop = () => {};
      resolve();
    };
    // It stays, since who gets the socket may listen a little later.
    socket.on('error', (cause) => fail(connectError(cause, '')));
    if (encrypted) socket.once('secureConnect', done);
    else if (socket.connecting) socket.once('connect', done);
    else done();
    attempt.stop = () => fail(attempt.reason);
    if (attempt.isGivenUp) attempt.stop();
  });
}
