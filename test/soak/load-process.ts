/** All clients but the half-open ones. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../random.ts';
import {
  repeatedly,
  sendMalformed,
  sendRefused,
  sendUnfinished,
  unfinishedWays,
} from './intruder.ts';
import { LedgerTotals } from './ledger.ts';
import { malformedCases, refusedCases } from './malformed-cases.ts';
import { Member, type Membership } from './member.ts';
import { crowd } from './plan.ts';
import { asked, type LoadAsked, listen, type ToLoad, tell } from './process-messages.ts';
import { sampleProcess } from './process-sample.ts';
import { count, type LoadSample } from './samples.ts';
import { readSlowly } from './slow-reader.ts';

const { plan, listening, hasFar } = asked<LoadAsked>();
const { localTopics, slowOfEach, churnPerSecond, malformedPerSecond, unfinishedPerSecond } =
  crowd(plan);
const random = new Random(plan.seed);
const totals = new LedgerTotals();
const problems: Record<string, number> = {};
const left: Record<string, number> = {};
const members: Member[] = [];
const stop = new AbortController();
setMaxListeners(0, stop.signal);

const MOST_KINDS_OF_PROBLEMS = 200;
const TICK_MS = 100;
/** Connections that are opened in a tick, at most, so that a burst of handshakes is not what is measured. */
const OPENINGS_A_TICK = 30;
/** Each member sends something about so often. */
const ECHO_EACH_MS = 5_000;
/** A wait that shows nothing is outstanding before the last goodbye. */
const LAST_ECHO_MS = 1_000;
const LEAVE_MS = 60_000;

let opened = 0;
let echoes = 0;
let slowClosed = 0;
let malformed = 0;
let unfinished = 0;
let isLeaving = false;

function problem(what: string): void {
  if (what in problems || Object.keys(problems).length < MOST_KINDS_OF_PROBLEMS)
    count(problems, what);
}

const places = new Map<Member, number>();
const shared: Membership = {
  listening,
  localTopics,
  hasFar,
  totals,
  random: random.fork('members'),
  echoed: () => {
    echoes += 1;
  },
  problem,
  gone: (member) => {
    const place = places.get(member);
    if (!places.delete(member)) return;
    const last = members.pop();
    if (place === undefined || last === undefined || last === member) return;
    members[place] = last;
    places.set(last, place);
  },
};

function open(): void {
  const member = new Member(shared);
  opened += 1;
  places.set(member, members.push(member) - 1);
}

const churnRandom = random.fork('churn');
let owedChurn = 0;
let owedEchoes = 0;
let echoAt = 0;

function tick(): void {
  const now = Date.now();
  for (let i = 0; i < OPENINGS_A_TICK && !isLeaving && members.length < plan.connections; i++)
    open();
  owedEchoes += (members.length * TICK_MS) / ECHO_EACH_MS;
  for (; owedEchoes >= 1; owedEchoes--) {
    echoAt = (echoAt + 1) % Math.max(1, members.length);
    const member = members[echoAt];
    if (!isLeaving) member?.echo(now);
    member?.look(now);
  }
  owedChurn += (churnPerSecond * TICK_MS) / 1000;
  for (; owedChurn >= 1; owedChurn--) if (!isLeaving && members.length > 0) churn(now);
}

function churn(now: number): void {
  const member = churnRandom.pick(members);
  if (!member.isOpen) return;
  const way = churnRandom.next();
  if (way < 0.6) {
    count(left, 'in order');
    member.leave(now);
  } else if (way < 0.8) {
    count(left, 'terminated');
    member.cut('terminate');
  } else {
    count(left, 'reset');
    member.cut('reset');
  }
}

function sample(): LoadSample {
  return {
    ...sampleProcess(),
    connections: members.length,
    opened,
    left: { ...left },
    echoes,
    ...totals,
    wrong: { ...totals.wrong },
    slowClosed,
    malformed,
    unfinished,
    problems: { ...problems },
  };
}

const intruders = random.fork('intruders');
let malformedAt = 0;

async function sendNextMalformed(): Promise<void> {
  const at = malformedAt++ % (malformedCases.length + refusedCases.length);
  const one = malformedCases[at];
  const other = refusedCases[at - malformedCases.length];
  const wrong =
    one !== undefined
      ? await sendMalformed(listening.tcp, one, intruders)
      : other && (await sendRefused(listening.tcp, other));
  malformed += 1;
  if (wrong !== undefined) problem(wrong);
}

async function sendNextUnfinished(): Promise<void> {
  const wrong = await sendUnfinished(listening, intruders.pick(unfinishedWays));
  unfinished += 1;
  if (wrong !== undefined) problem(wrong);
}

const slow = (['drop', 'latest', 'close'] as const).flatMap((policy) =>
  Array.from({ length: slowOfEach }, (_, index) =>
    readSlowly(policy, {
      port: listening.tcp,
      pingTimeoutMs: plan.pingTimeoutMs,
      totals,
      random: random.fork(`${policy} ${index}`),
      signal: stop.signal,
      problem,
      closed: () => {
        slowClosed += 1;
      },
    }),
  ),
);
const others = [
  ...slow,
  repeatedly(malformedPerSecond, stop.signal, sendNextMalformed),
  repeatedly(unfinishedPerSecond, stop.signal, sendNextUnfinished),
];
const ticking = setInterval(tick, TICK_MS);
const sampling = setInterval(() => tell({ type: 'sample', sample: sample() }), 1000);

async function leave(lastFar: readonly number[] | undefined): Promise<void> {
  isLeaving = true;
  stop.abort();
  await sleep(LAST_ECHO_MS);
  const since = Date.now();
  while (members.length > 0 && Date.now() - since < LEAVE_MS) {
    let asking = OPENINGS_A_TICK * 2;
    for (const member of members) {
      if (asking === 0) break;
      if (!member.isOpen) continue;
      member.leave(Date.now(), lastFar);
      asking -= 1;
    }
    await sleep(TICK_MS);
  }
  if (members.length > 0) problem(`members did not leave`);
  await Promise.all(others);
  clearInterval(ticking);
  clearInterval(sampling);
  tell({ type: 'left', sample: sample() });
}

listen<ToLoad>(({ lastFar }) => void leave(lastFar));
