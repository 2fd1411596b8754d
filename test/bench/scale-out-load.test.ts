import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ScaleOutLoad } from '../../bench/dist/scale-out/load.js';
import { type Peer, type Server, serve } from '../../dist/index.js';

const load = fileURLToPath(new URL('../../bench/dist/scale-out/load.js', import.meta.url));

interface Result {
  readonly messages: number;
  readonly wrong: number;
  readonly latencyMs: { readonly p50: number | null; readonly p99: number | null };
}

type Deliver = (peer: Peer, text: string, turn: number) => void;

/** Servers of one process that hand each message to all peers of all. `turn` counts what each of the peers is sent. */
async function cluster(t: TestContext, count: number, deliver: Deliver): Promise<Server[]> {
  const turns = new Map<Peer, number>();
  const servers: Server[] = [];
  for (let left = count; left > 0; left--) {
    const server = await serve({
      routes: {
        '*': {
          open(peer) {
            turns.set(peer, 0);
          },
          message(_peer, data) {
            for (const [each, turn] of turns) {
              turns.set(each, turn + 1);
              deliver(each, String(data), turn);
            }
          },
        },
      },
    });
    servers.push(server);
    t.after(() => server.close({ timeoutMs: 0 }));
  }
  return servers;
}

function run(
  servers: readonly Server[],
  more: Partial<ScaleOutLoad>,
): Promise<{ readonly code: number; readonly events: object[]; readonly errors: string }> {
  const asked: ScaleOutLoad = {
    dialect: 'plain',
    ports: servers.map(({ port }) => port),
    subscribers: 3,
    publishers: 1,
    inFlight: 1,
    size: 100,
    durationMs: 50,
    warmUpMs: 0,
    stalledMs: 5_000,
    ...more,
  };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [load, JSON.stringify(asked)],
      (_error, out, errors) => {
        const lines = out.split('\n').filter((line) => line !== '');
        const events = lines.map((line): object => JSON.parse(line));
        resolve({ code: child.exitCode ?? -1, events, errors });
      },
    );
  });
}

function resultOf(events: readonly object[]): Result {
  const result = events.at(-1);
  assert.ok(result !== undefined && isResult(result), JSON.stringify(events));
  return result;
}

function isResult(event: object): event is Result {
  return 'event' in event && event.event === 'result';
}

/** Behind the probe. */
const SOME = 3;

test('every message is counted once for each subscriber', async (t) => {
  let sent = 0;
  const servers = await cluster(t, 3, (peer, text) => {
    if (!text.startsWith('probe')) sent++;
    peer.send(text);
  });
  const more = { publishers: 3, inFlight: 4, durationMs: 100 };
  const { code, events, errors } = await run(servers, more);
  assert.equal(code, 0, errors);
  assert.deepEqual(
    events.map((event) => ('event' in event ? event.event : '')),
    ['measuring', 'measured', 'result'],
  );
  const { messages, wrong, latencyMs } = resultOf(events);
  assert.equal(wrong, 0);
  // What was on its way at the end is not counted.
  assert.ok(messages > 0 && messages <= sent, `${messages} of ${sent}`);
  assert.ok((latencyMs.p50 ?? 0) > 0 && (latencyMs.p50 ?? 0) <= (latencyMs.p99 ?? 0));
});

for (const [what, deliver] of Object.entries<Deliver>({
  'comes twice': (peer, text, turn) => {
    peer.send(text);
    if (turn === SOME) peer.send(text);
  },
  'is missing': (peer, text, turn) => {
    if (turn !== SOME) peer.send(text);
  },
  'is another': (peer, text, turn) => {
    peer.send(turn === SOME ? text.replace('.', ',') : text);
  },
})) {
  test(`it is told where a message ${what}`, async (t) => {
    const servers = await cluster(t, 1, deliver);
    const { events, errors } = await run(servers, { stalledMs: 50 });
    assert.equal(errors, '');
    assert.ok(resultOf(events).wrong > 0);
  });
}

test('who does not get the first message gets another, before anything is counted', async (t) => {
  const probes = new Set<string>();
  const servers = await cluster(t, 2, (peer, text) => {
    if (text.startsWith('probe')) probes.add(text);
    // As where a server has not subscribed yet.
    if (text !== 'probe 0') peer.send(text);
  });
  const { events } = await run(servers, {});
  assert.equal(resultOf(events).wrong, 0);
  assert.deepEqual([...probes], ['probe 0', 'probe 1']);
});

test('it ends with an error where a connection is lost', async (t) => {
  const servers = await cluster(t, 1, (peer, text, turn) => {
    if (turn === SOME) peer.close(4000, 'enough');
    else peer.send(text);
  });
  const { code, errors } = await run(servers, {});
  assert.equal(code, 1);
  assert.equal(errors, 'Error: a connection was lost: 4000 enough\n');
});
