import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Peer, serve } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { startProxy } from '../node/client/connect-proxy.ts';
import { startRecorder } from '../node/client/servers.ts';
import { bench, eventsOf } from './bench-run.ts';
import { Command, run, startServer, TerminalCommand } from './command.ts';

type Test = { after(task: () => Promise<unknown>): void };

/** An echo server that says whom it had. */
async function startWitness(t: Test) {
  const peers: Peer[] = [];
  const ends: string[] = [];
  let open = 0;
  let mostOpen = 0;
  const server = await serve({
    routes: {
      '*': {
        protocols: ['a'],
        origins: ['http://here.example'],
        open(peer) {
          peers.push(peer);
          open++;
          mostOpen = Math.max(mostOpen, open);
        },
        message: (peer, data) => void peer.send(data),
        close(_peer, code) {
          open--;
          ends.push(String(code));
        },
      },
    },
  });
  t.after(() => server.close({ timeoutMs: 0 }));
  return { url: server.url, peers, ends, mostOpen: () => mostOpen };
}

describe('the modes', { concurrency: 2 }, () => {
  for (const options of ['', '--binary --in-flight 5', '--size 0 --in-flight 3', '--size 1']) {
    test(`echo ${options}`, async (t) => {
      const { url } = await startServer(t, 'echo');
      const { command, result } = await bench(url, `--connections 7 ${options}`.trimEnd());
      assert.equal(command.child.exitCode, 0, command.stderr);
      assert.equal(command.stderr, '');
      const { seconds, messages, messagesPerSecond, latencyMs, cpuSeconds, ...rest } = result;
      assert.ok(seconds >= 0.19);
      assert.ok(messages > 0);
      assert.ok(Math.abs((messagesPerSecond * seconds) / messages - 1) < 0.0001);
      assert.ok(cpuSeconds > 0);
      const { mean, p50, p90, p99, max } = latencyMs;
      for (const one of [mean, p50, p90, p99, max]) assert.ok(one !== null && one > 0);
      assert.ok(Number(p50) <= Number(p90) && Number(p99) <= Number(max));
      const size = Number(/--size (\d+)/.exec(options)?.[1] ?? 20);
      assert.deepEqual(rest, {
        event: 'result',
        url,
        mode: 'echo',
        connections: 7,
        size,
        inFlight: Number(/--in-flight (\d)/.exec(options)?.[1] ?? 1),
        rate: null,
        binary: options.includes('--binary'),
        bytes: messages * size,
        wrong: 0,
        failed: 0,
      });
    });
  }

  test('echo with messages over the default limit', async (t) => {
    const { url } = await startServer(t, 'echo', '--max-message', '3000000');
    const { command, result } = await bench(url, '--connections 1 --in-flight 2 --size 3000000');
    assert.equal(command.child.exitCode, 0, command.stderr);
    assert.ok(result.messages > 0);
    assert.equal(result.bytes, result.messages * 3_000_000);
  });

  for (const options of ['', '--binary --in-flight 9']) {
    test(`fan-out ${options}`, async (t) => {
      const { url } = await startServer(t, 'broadcast');
      const { command, result } = await bench(
        url,
        `--mode fan-out --connections 5 ${options}`.trimEnd(),
      );
      assert.equal(command.child.exitCode, 0, command.stderr);
      assert.equal(result.wrong, 0);
      // All five receive each, but for those on their way in the end.
      assert.ok(result.messages > 5 * 9);
    });
  }

  test('handshake', async (t) => {
    const { url, peers, ends, mostOpen } = await startWitness(t);
    const { command, result } = await bench(url, '--mode handshake --connections 3');
    assert.equal(command.child.exitCode, 0, command.stderr);
    assert.ok(result.messages > 0);
    assert.equal(result.inFlight, null);
    // The first of each are not counted.
    assert.ok(peers.length >= result.messages + 3);
    assert.ok(mostOpen() <= 3 + 1, 'one may be closed here later than it is there');
    assert.ok(ends.filter((code) => code === '1000').length >= result.messages);
  });

  test('idle', async (t) => {
    const { url, ends, mostOpen } = await startWitness(t);
    const { command, names, result } = await bench(url, '--mode idle --connections 250');
    assert.equal(command.child.exitCode, 0, command.stderr);
    assert.deepEqual(names, ['connected', 'measuring', 'measured', 'result']);
    assert.equal(result.messages, 0);
    assert.deepEqual(result.latencyMs, { mean: null, p50: null, p90: null, p99: null, max: null });
    assert.equal(mostOpen(), 250);
    assert.deepEqual(ends, new Array(250).fill('1000'));
  });
});

describe('a rate', { concurrency: 2 }, () => {
  for (const [mode, server] of [
    ['echo', 'echo'],
    ['fan-out', 'broadcast'],
  ] as const) {
    test(`is kept: ${mode}`, async (t) => {
      const { url } = await startServer(t, server);
      const { command, result } = await bench(
        url,
        `--mode ${mode} --connections 4 --rate 300 --duration 0.5`,
      );
      assert.equal(command.child.exitCode, 0, command.stderr);
      assert.equal(result.rate, 300);
      assert.equal(result.inFlight, null);
      // In fan-out each message comes four times.
      const sent = mode === 'echo' ? result.messages : result.messages / 4;
      assert.ok(sent > 100, `${sent}`);
      assert.ok(sent <= Math.ceil(result.seconds * 300) + 1, `${sent} in ${result.seconds}`);
    });
  }

  for (const { title, pauseMs, options, maxAtLeast } of [
    {
      title: 'also where it could not be sent',
      pauseMs: 300,
      // 30 MB are due in the pause, far more than fits into all buffers on the way.
      options: '--rate 100 --size 1000000 --duration 0.8 --binary',
      maxAtLeast: 200,
    },
    {
      title: 'also where many are on their way',
      pauseMs: 150,
      options: '--rate 5000 --duration 0.6',
      maxAtLeast: 100,
    },
  ]) {
    test(`counts latency from when a message was due, ${title}`, async (t) => {
      let isFirst = true;
      const server = await serve({
        limits: { maxBufferedBytes: Number.POSITIVE_INFINITY },
        routes: {
          '*': {
            // Once, nothing is read for a while.
            message(peer, data) {
              peer.send(data);
              if (!isFirst) return;
              isFirst = false;
              return sleep(pauseMs);
            },
          },
        },
      });
      t.after(() => server.close({ timeoutMs: 0 }));
      const { command, result } = await bench(server.url, `--connections 1 ${options}`);
      assert.equal(command.child.exitCode, 0, command.stderr);
      // However busy the machine is, latencies only become longer.
      const { max } = result.latencyMs;
      assert.ok(Number(max) >= maxAtLeast, `${max}`);
    });
  }
});

describe('what it prints', { concurrency: 2 }, () => {
  test('events come in order, progress each second', async (t) => {
    const { url } = await startServer(t, 'echo');
    const { names, result } = await bench(url, '--connections 2 --warm-up 0.05 --duration 1.2');
    assert.deepEqual(names, ['connected', 'measuring', 'progress', 'measured', 'result']);
    assert.ok(result.seconds >= 1.19);
  });

  test('measuring and measured are told when they happen', async (t) => {
    const { url } = await startServer(t, 'echo');
    const words = ['--json', '--connections', '2', '--warm-up', '0.2', '--duration', '0.3'];
    const command = new Command('bench', url, ...words);
    await command.printed(/"connected"/);
    assert.doesNotMatch(command.stdout, /measuring/);
    await command.printed(/"measuring"/);
    assert.doesNotMatch(command.stdout, /measured/);
    await command.printed(/"measured"/);
    await command.end();
    assert.deepEqual(eventsOf(command).names, ['connected', 'measuring', 'measured', 'result']);
  });

  const table = [
    /^connections +3$/m,
    /^seconds +\d+\.\d\d$/m,
    /^messages +[\d,]+$/m,
    /^messages\/s +[\d,]+$/m,
    /^MB\/s +\d+\.\d\d$/m,
    /^latency p50 +\d+\.\d{3} ms$/m,
    /^latency p90 +/m,
    /^latency p99 +/m,
    /^latency max +/m,
    /^latency mean +/m,
    /^wrong +0$/m,
    /^failed connections +0$/m,
    /^CPU of this program +\d+ %$/m,
  ];
  const short = ['--connections', '3', '--duration', '0.2', '--warm-up', '0'];

  test('a pipe gets a table', async (t) => {
    const { url } = await startServer(t, 'echo');
    const command = await run(['bench', url, ...short]);
    assert.equal(command.child.exitCode, 0, command.stderr);
    for (const row of table) assert.match(command.stdout, row);
    assert.equal(command.stdout.trimEnd().split('\n').length, table.length);
  });

  test('a terminal gets progress, the table and a histogram', async (t) => {
    const { url } = await startServer(t, 'echo');
    const command = new TerminalCommand('bench', url, ...short);
    assert.equal(await command.end(), 0);
    const [progress = '', rest = ''] = command.stdout.replaceAll('\r', '').split('\u001b[2Kconn');
    assert.match(progress, /\[#*\.+\] \d\.\d s of 0\.2 s {2}[\d,]+ messages\/s/);
    for (const row of table) assert.match(`conn${rest}`, row);
    assert.match(rest, /^ *[\d.]+ - +[\d.]+ ms +\d+\.\d % {2}#{40}$/m);
  });

  test('handshake and idle have rows of their own', async (t) => {
    const { url } = await startServer(t, 'echo');
    const handshake = await run(['bench', url, '--mode', 'handshake', ...short]);
    assert.match(handshake.stdout, /^handshakes +[\d,]+$\n^handshakes\/s +/m);
    assert.doesNotMatch(handshake.stdout, /messages|MB|wrong/);
    const idle = await run(['bench', url, '--mode', 'idle', ...short]);
    assert.match(idle.stdout, /^still open +3$/m);
    assert.doesNotMatch(idle.stdout, /messages|latency|wrong/);
  });
});

describe('connections', { concurrency: 2 }, () => {
  test('have the subprotocol, the headers and the origin', async (t) => {
    const { url, peers } = await startWitness(t);
    const words = '--protocol b --protocol a --header X-Test:1 --origin http://here.example';
    const { command } = await bench(url, `--connections 2 ${words}`);
    assert.equal(command.child.exitCode, 0, command.stderr);
    for (const peer of peers) {
      assert.equal(peer.protocol, 'a');
      assert.equal(peer.request.headers['x-test'], '1');
      assert.equal(peer.request.headers.origin, 'http://here.example');
    }
    assert.equal(peers.length, 2);
  });

  test('go over HTTP/2, follow redirects, and go through a proxy, where that is asked', async (t) => {
    for (const mode of ['echo', 'handshake', 'idle']) {
      const transports: string[] = [];
      const server = await serve({
        http2: true,
        routes: {
          '/': {
            open: (peer) => void transports.push(peer.transport),
            message: (peer, data) => void peer.send(data),
          },
        },
      });
      t.after(() => server.close({ timeoutMs: 0 }));
      const { command } = await bench(server.url, `--mode ${mode} --http2 --connections 3`);
      assert.equal(command.child.exitCode, 0, command.stderr);
      assert.deepEqual([...new Set(transports)], ['h2'], mode);
    }
    const redirecting = await startRecorder(t, { redirect: () => '/echo' });
    const proxy = await startProxy(t);
    const ways = `--redirects 1 --proxy ${proxy.url()}`;
    const { command } = await bench(
      `ws://127.0.0.1:${redirecting.port}`,
      `${ways} --connections 2`,
    );
    assert.equal(command.child.exitCode, 0, command.stderr);
    assert.equal(proxy.requests.length, 4);
    assert.equal(redirecting.asked.length, 4);
  });

  test('over TLS trust what --ca says', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
    t.after(() => rm(folder, { recursive: true }));
    const { cert, key } = await localCertificate();
    const certFile = join(folder, 'cert.pem');
    const keyFile = join(folder, 'key.pem');
    await writeFile(certFile, cert);
    await writeFile(keyFile, key);
    const { url } = await startServer(t, 'echo', '--tls-cert', certFile, '--tls-key', keyFile);
    const { command } = await bench(url, `--connections 2 --ca ${certFile}`);
    assert.equal(command.child.exitCode, 0, command.stderr);
    const untrusting = await run(['bench', url]);
    assert.equal(untrusting.child.exitCode, 1);
    assert.match(untrusting.stderr, /self-signed/);
  });
});

const misuses: [string, RegExp][] = [
  ['', /aperto bench needs a URL/],
  ['ws://127.0.0.1:1 ws://127.0.0.1:2', /one URL is enough/],
  ['http://127.0.0.1:1', /not a WebSocket URL/],
  ['ws://127.0.0.1:1 --bogus', /--bogus/],
  ['ws://127.0.0.1:1 --mode flood', /--mode is echo, fan-out, handshake or idle, not "flood"/],
  ['ws://127.0.0.1:1 --connections 0', /--connections takes a whole number from 1/],
  ['ws://127.0.0.1:1 --connections 1e3', /--connections/],
  ['ws://127.0.0.1:1 --size -1', /--size/],
  ['ws://127.0.0.1:1 --size 300000000', /--size takes a whole number from 0 to 268435456/],
  ['ws://127.0.0.1:1 --in-flight 1.5', /--in-flight/],
  ['ws://127.0.0.1:1 --rate 0', /--rate/],
  ['ws://127.0.0.1:1 --rate 5 --in-flight 5', /exclude each other/],
  ['ws://127.0.0.1:1 --duration 0', /--duration is more than 0 seconds/],
  ['ws://127.0.0.1:1 --duration soon', /--duration takes seconds/],
  ['ws://127.0.0.1:1 --warm-up=-1', /--warm-up takes seconds/],
  ['ws://127.0.0.1:1 --mode handshake --size 5', /--size is for echo and fan-out/],
  ['ws://127.0.0.1:1 --mode handshake --rate 5', /--rate is for echo and fan-out/],
  ['ws://127.0.0.1:1 --mode idle --in-flight 5', /--in-flight is for echo and fan-out/],
  ['ws://127.0.0.1:1 --mode idle --binary', /--binary is for echo and fan-out/],
  ['ws://127.0.0.1:1 --header nocolon', /'Name: value'/],
  ['ws://127.0.0.1:1 --header Upgrade:x', /Upgrade/],
  ['ws://127.0.0.1:1 --protocol a --protocol a', /there twice/],
];

describe('misuse: a sentence on stderr, nothing on stdout, exit code 2', { concurrency: 2 }, () => {
  for (const [line, says] of misuses) {
    test(`aperto bench ${line}`, async () => {
      const command = await run(['bench', ...line.split(' ').filter((word) => word !== '')]);
      assert.match(command.stderr, says);
      assert.match(command.stderr, /^aperto: /);
      assert.doesNotMatch(command.stderr, /\n\s+at /, 'no stack');
      assert.equal(command.stdout, '');
      assert.equal(command.child.exitCode, 2);
    });
  }

  test('--help tells the options', async () => {
    const command = await run(['bench', '--help']);
    assert.match(command.stdout, /--in-flight N/);
    assert.equal(command.child.exitCode, 0);
  });
});
