import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { within } from '../faults/raw-socket.ts';

const library = new URL('../../dist/index.js', import.meta.url).href;

/** Runs a program that must end by itself; its output. */
async function run(program: string): Promise<{ code: number | null; out: string; err: string }> {
  const source = `import { serve, connect, attach } from ${JSON.stringify(library)};\n${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    const [out, err, code] = await within(
      'the end of the process',
      Promise.all([
        text(child.stdout),
        text(child.stderr),
        new Promise<number | null>((resolve) => child.on('close', resolve)),
      ]),
    );
    return { code, out, err };
  } finally {
    child.kill();
  }
}

describe('a process ends by itself', () => {
  test('after server and client were closed', async () => {
    const { code, out, err } = await run(`
      const server = await serve({ routes: { '/': { message(peer, m) { peer.send(m); } } } });
      const peer = await connect(server.url);
      peer.send('hello');
      for await (const message of peer) { console.log(message); break; }
      await server.close();
      console.log((await peer.closed).code);
      console.log(process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Immediate/.test(name)).join());
    `);
    assert.deepEqual([code, out, err], [0, 'hello\n1001\n\n', '']);
  });

  test('after the client was refused, or cut off', async () => {
    const { code, out, err } = await run(`
      const server = await serve({ routes: { '/': { open(peer) { peer.terminate(); } } } });
      await connect(server.url + '/nowhere').catch((error) => console.log(error.response.status));
      const peer = await connect(server.url);
      console.log((await peer.closed).code);
      await server.close();
      await connect(server.url + ':1').catch((error) => console.log(error.code));
    `);
    assert.deepEqual([code, out, err], [0, '404\n1006\nINVALID_URL\n', '']);
  });
});

describe('a process goes on', () => {
  test('whatever handlers and onError throw', async () => {
    const { code, out, err } = await run(`
      const fail = (name) => () => { throw new Error(name); };
      const failLater = (name) => async () => { await null; throw new Error(name); };
      const routes = {
        '/open': { open: fail('open') }, '/open-later': { open: failLater('open-later') },
        '/message': { message: fail('message') }, '/message-later': { message: failLater('message-later') },
        '/close': { open(peer) { peer.close(4000); }, close: fail('close') },
        '/close-later': { open(peer) { peer.close(4000); }, close: failLater('close-later') },
        '/ping': { ping: fail('ping') }, '/ping-later': { ping: failLater('ping-later') },
        '/pong': { pong: fail('pong') },
        '/upgrade': { upgrade: fail('upgrade') }, '/upgrade-later': { upgrade: failLater('upgrade-later') },
      };
      const server = await serve({ routes, onError(error) { console.log(error.message); throw new Error('onError of ' + error.message); } });
      for (const path of Object.keys(routes)) {
        try {
          const peer = await connect(server.url + path);
          peer.send('x'); peer.ping(); peer.pong();
          console.log((await peer.closed).code);
        } catch (error) { console.log(error.response.status); }
      }
      await server.close();
    `);
    const told = [...out.matchAll(/^[a-z-]+$/gm)].map(String);
    const codes = [...out.matchAll(/^\d+$/gm)].map(String);
    const paths = ['open', 'open-later', 'message', 'message-later', 'close', 'close-later'];
    paths.push('ping', 'ping-later', 'pong', 'upgrade', 'upgrade-later');
    assert.deepEqual(told.sort(), paths.sort(), err);
    assert.deepEqual(codes, [
      ...['1011', '1011', '1011', '1011', '4000', '4000', '1011', '1011', '1011', '500', '500'],
    ]);
    for (const path of paths) assert.match(err, new RegExp(`onError of ${path}\n`));
    assert.equal(code, 0);
  });

  test('where there is no onError, which means console.error', async () => {
    const { code, out, err } = await run(`
      const server = await serve({ routes: { '/': { message() { throw new Error('seen'); } } } });
      const peer = await connect(server.url);
      peer.send('x');
      console.log((await peer.closed).code);
      await server.close();
    `);
    assert.deepEqual([code, out], [0, '1011\n']);
    assert.match(err, /Error: seen/);
  });
});
