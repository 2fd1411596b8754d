import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { RejectUpgrade, type Server, serve } from '../../dist/index.js';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { Command, run, TerminalCommand } from './command.ts';

/** A server that writes down what it hears, and echoes it. */
async function startRecorder(t: { after(task: () => Promise<unknown>): void }) {
  const heard: unknown[] = [];
  const server: Server = await serve({
    routes: {
      '/refused': {
        upgrade() {
          throw new RejectUpgrade(401, { body: 'who are you?' });
        },
      },
      '*': {
        protocols: ['a', 'b'],
        origins: '*',
        open(peer) {
          const { origin, 'x-test': header } = peer.request.headers;
          heard.push({ protocol: peer.protocol, origin, header });
          peer.subscribe('all');
        },
        message(peer, data) {
          heard.push(data);
          if (data === 'bad') peer.close(1011, 'no\u0007 good');
          else peer.send(data);
        },
        ping: (_peer, payload) => void heard.push(`ping ${Buffer.from(payload)}`),
        pong: (_peer, payload) => void heard.push(`pong ${Buffer.from(payload)}`),
        close: (_peer, code, reason) => void heard.push([code, reason]),
      },
    },
  });
  t.after(() => server.close({ timeoutMs: 0 }));
  return { url: server.url, heard, publish: (data: string) => server.publish('all', data) };
}

const plain = { protocol: '', origin: undefined, header: undefined };

describe('aperto connect', { concurrency: 2 }, () => {
  test('sends each line of its input, prints what comes, and closes', async (t) => {
    const { url, heard } = await startRecorder(t);
    const command = new Command('connect', url, '--wait', '0.05');
    command.child.stdin.end('one\n\n//slash\nlast');
    assert.equal(await command.end(), 0, command.stderr);
    assert.deepEqual(heard, [plain, 'one', '', '/slash', 'last', [1000, '']]);
    assert.equal(command.stdout, 'one\n\n/slash\nlast\n');
    assert.equal(command.stderr, '');
  });

  test('waits as long as it is told', async (t) => {
    const { url } = await startRecorder(t);
    const command = new Command('connect', url, '--wait', '100', '--execute', 'one');
    await command.printed(/^one\n/);
    assert.equal(await command.signal('SIGINT'), 0);
  });

  test('--execute sends in place of the input, repeatedly', async (t) => {
    const { url, heard } = await startRecorder(t);
    const command = await run(
      ['connect', url, '--execute', '/ping', '--execute', 'two', '--wait', '0.05'],
      'never\n',
    );
    assert.deepEqual(heard, [plain, '/ping', 'two', [1000, '']]);
    assert.equal(command.child.exitCode, 0);
  });

  test('offers subprotocols, sends headers and an origin', async (t) => {
    const { url, heard } = await startRecorder(t);
    const args = [
      '--protocol',
      'x',
      '--protocol',
      'b',
      '--header',
      'X-Test: a: b',
      '--origin',
      'http://o',
    ];
    await run(['connect', url, ...args, '--wait', '0'], '');
    assert.deepEqual(heard[0], { protocol: 'b', origin: 'http://o', header: 'a: b' });
  });

  test('--binary sends bytes, which are printed as such', async (t) => {
    const { url, heard } = await startRecorder(t);
    const command = await run(['connect', url, '--binary', '--wait', '0.05'], 'hi\n');
    assert.deepEqual(heard[1], Uint8Array.of(104, 105));
    assert.equal(command.stdout, '<2 bytes: 6869>\n');
  });

  test('--json tells everything, an object a line', async (t) => {
    const { url } = await startRecorder(t);
    const command = new Command('connect', url, '--json', '--protocol', 'a');
    command.child.stdin.write('hi\n/ping x\n');
    await command.printed(/"pong"/);
    command.child.stdin.write('/close 4000 why\n');
    assert.equal(await command.end(), 0, command.stderr);
    assert.deepEqual(
      command.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
      [
        { event: 'open', url, protocol: 'a', extensions: '' },
        { event: 'message', data: 'hi' },
        { event: 'pong', base64: 'eA==' },
        { event: 'close', code: 4000, reason: '' },
      ],
    );
  });

  test('commands ping, pong and close; an unknown one is told', async (t) => {
    const { url, heard } = await startRecorder(t);
    const command = await run(
      ['connect', url],
      `/ping a b\n/pong c\n/bogus\n/ping ${'x'.repeat(126)}\n/close 99\n/close 4999 see you\nnever\n`,
    );
    assert.deepEqual(heard, [plain, 'ping a b', 'pong c', [4999, 'see you']]);
    assert.match(command.stderr, /no command \/bogus/);
    assert.match(command.stderr, /at most 125 bytes/);
    assert.match(command.stderr, /close code/);
    assert.equal(command.child.exitCode, 0);
  });

  test('a close that tells of an error is told, with exit code 1', async (t) => {
    const { url } = await startRecorder(t);
    const command = await run(['connect', url, '--wait', '9'], 'bad\n');
    assert.equal(command.child.exitCode, 1);
    assert.match(command.stderr, /^aperto: closed with 1011: no\\u\{7\} good/);
  });

  test('a refusal is told with its status and body', async (t) => {
    const { url } = await startRecorder(t);
    const command = await run(['connect', `${url}/refused`]);
    assert.equal(command.child.exitCode, 1);
    assert.match(command.stderr, /status 401[\s\S]*who are you\?/);
    assert.equal(command.stdout, '');
  });

  test('nobody there is told', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => free.once('listening', resolve));
    const address = free.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    await new Promise((resolve) => free.close(resolve));
    const command = await run(['connect', `ws://127.0.0.1:${port}`]);
    assert.equal(command.child.exitCode, 1);
    assert.match(command.stderr, /ECONNREFUSED/);
  });

  test('what comes with the handshake is told in order; a close ends a command whose input is open', async () => {
    const frames = Buffer.from('8101618900880203e8', 'hex');
    await withRawServer(
      {
        async answer(raw, request) {
          raw.write(switching(request), frames);
          const answers = [await raw.readFrame(), await raw.readFrame()];
          assert.deepEqual(
            answers.map(({ first }) => first),
            [0x8a, 0x88],
            'a pong and a close',
          );
          raw.end();
        },
      },
      async (url) => {
        const command = new Command('connect', url, '--json');
        assert.equal(await command.end(), 0, command.stderr);
        assert.deepEqual(
          command.stdout.match(/(?<="event":")\w+/g),
          ['open', 'message', 'ping', 'close'],
          command.stdout,
        );
      },
    );
  });

  const noTerminal = process.platform === 'linux' ? false : 'script(1) of Linux makes the terminal';
  test('at a terminal, shows what is typed and keeps it below what comes', {
    skip: noTerminal,
  }, async (t) => {
    const { url, heard, publish } = await startRecorder(t);
    const command = new TerminalCommand('connect', url);
    await command.printed(/connected to [\s\S]*> /);
    command.child.stdin.write('half');
    await command.printed(/> [\s\S]*half/);
    publish('news\u001b[2J');
    await command.printed(/half[\s\S]*news\\u\{1b\}\[2J\r\n[\s\S]*> half/);
    command.child.stdin.write(' done\r');
    await command.printed(/ done[\s\S]*half done\r\n[\s\S]*> /);
    command.child.stdin.write('\u0003');
    assert.equal(await command.end(), 0, command.stdout);
    assert.match(command.stdout, /closed with 1000\r\n$/);
    assert.deepEqual(heard, [plain, 'half done', [1000, '']]);
  });

  test('takes a large input no faster than it is taken', async (t) => {
    const { url, heard } = await startRecorder(t);
    const line = 'x'.repeat(50_000);
    const command = await run(['connect', url, '--wait', '0.2'], `${line}\n`.repeat(200));
    assert.equal(command.child.exitCode, 0, command.stderr);
    assert.equal(heard.length, 202);
  });
});
