import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, serve } from '../../dist/index.js';
import { type Application, withApplication } from './application.ts';
import { checkSwitched, dial, handshake, type RawRequest, readRefusal } from './raw-client.ts';
import { CLOSE, clientFrame, closePayload, hex, TEXT } from './raw-frames.ts';
import { type Head, type RawSocket, within } from './raw-socket.ts';
import { testOverHttp1 } from './transport.ts';

/** A handshake that is refused with this status before any code of the application runs. */
async function expectRefusal(
  application: Application,
  request: RawRequest,
  status: number,
  behind: string | Uint8Array = '',
): Promise<Head> {
  const raw = await application.dial();
  raw.write(handshake(request), behind);
  const { head } = await readRefusal(raw);
  assert.equal(head.status, status, JSON.stringify(request));
  assert.deepEqual(application.events, []);
  return head;
}

/** A handshake that is accepted, whose connection works and is closed in order. */
async function expectOpening(
  application: Application,
  request: RawRequest,
  protocol?: string,
): Promise<void> {
  application.forget();
  const raw = await application.dial();
  raw.write(handshake(request));
  checkSwitched(await raw.readHead(), protocol);
  raw.write(clientFrame(TEXT, 'hello'));
  await raw.expectFrame(TEXT, 'hello');
  raw.write(clientFrame(CLOSE, closePayload(1000)));
  await raw.expectClose(1000);
  await raw.expectEnd();
  raw.end();
  await application.expectEvents('upgrade', 'open', 'text hello', 'close 1000');
}

/** Answers every plain request, and counts them. */
function countingRequests(): {
  readonly urls: string[];
  readonly request: (request: IncomingMessage, response: ServerResponse) => void;
} {
  const urls: string[] = [];
  return {
    urls,
    request: (request, response) => {
      urls.push(`${request.method} ${request.url}`);
      response.end('plain\n');
    },
  };
}

testOverHttp1('fault 1: a method that is not GET is answered 405', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const head = await expectRefusal(application, { method }, 405);
      assert.equal(head.get('allow'), 'GET');
    }
  });
});

testOverHttp1('fault 2: HTTP/1.0 is refused', async (over) => {
  await withApplication({ over }, async (application) => {
    await expectRefusal(application, { version: 'HTTP/1.0' }, 400);
    const fields = { connection: 'keep-alive, Upgrade' };
    await expectRefusal(application, { version: 'HTTP/1.0', fields }, 400);
  });
});

testOverHttp1('fault 3: no Host, two, or one that is no host is refused', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const host of [
      undefined,
      ['127.0.0.1', '127.0.0.1'],
      ['127.0.0.1', 'other.example'],
      '',
      'two hosts',
      'a.example, b.example',
      'user@a.example',
      'a.example/path',
      'a.example:port',
      'a.example:65536',
    ]) {
      await expectRefusal(application, { fields: { host } }, 400);
    }
  });
});

testOverHttp1(
  'fault 4: an upgrade with a body is refused, and the body is read neither as a request nor as frames',
  async (over) => {
    const { urls, request } = countingRequests();
    await withApplication({ over, request }, async (application) => {
      const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
      const frames = clientFrame(TEXT, 'smuggled').toString('latin1');
      const withKey = handshake({ path: '/smuggled' });
      for (const body of [smuggled, frames, withKey]) {
        const length = { 'content-length': String(body.length) };
        await expectRefusal(application, { fields: length }, 400, Buffer.from(body, 'latin1'));
        await expectRefusal(application, { method: 'POST', fields: length }, 405, body);
        const chunked = { 'transfer-encoding': 'chunked' };
        const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
        await expectRefusal(application, { fields: chunked }, 400, Buffer.from(chunks, 'latin1'));
        const late = await application.dial();
        late.write(handshake({ fields: length }));
        assert.equal((await late.readHead()).status, 400);
        late.write(body);
        assert.equal(await late.drain(), 'fin');
      }
      // What says that it has none has none.
      await expectOpening(application, { fields: { 'content-length': '0' } });
      assert.deepEqual(urls, []);
    });
  },
);

testOverHttp1(
  'fault 4: a body behind an upgrade to a protocol that is not ours is not read as a request',
  async (over) => {
    const { urls, request } = countingRequests();
    await withApplication({ over, request }, async (application) => {
      const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
      const fields = { upgrade: 'h2c', 'content-length': String(smuggled.length) };
      await expectRefusal(application, { fields }, 426, smuggled);
      assert.deepEqual(urls, []);
    });
  },
);

testOverHttp1(
  'fault 5: no Upgrade header is answered 426, no upgrade in Connection 400',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const fields of [
        { upgrade: undefined },
        { upgrade: undefined, connection: undefined },
        { upgrade: 'websockets' },
      ]) {
        const raw = await application.dial();
        raw.write(handshake({ fields }));
        const { head } = await readRefusal(raw);
        assert.equal(head.status, 426);
        assert.equal(head.get('upgrade'), 'websocket');
      }
      for (const connection of [undefined, 'keep-alive', 'close', 'upgraded']) {
        const raw = await application.dial();
        raw.write(handshake({ fields: { connection } }));
        const head = await raw.readHead();
        assert.equal(head.status, 400, `Connection: ${connection}`);
        raw.destroy();
      }
      assert.deepEqual(application.events, []);
    });
  },
);

testOverHttp1(
  'fault 6: Connection: keep-alive, Upgrade is accepted, whatever the case and the number of lines',
  async (over) => {
    await withApplication({ over }, async (application) => {
      await expectOpening(application, { fields: { connection: 'keep-alive, Upgrade' } });
      await expectOpening(application, { fields: { connection: ['keep-alive', 'UPGRADE'] } });
      await expectOpening(application, { fields: { connection: ' upgrade ,\tkeep-alive' } });
      await expectOpening(application, { fields: { upgrade: 'WebSocket' } });
    });
  },
);

testOverHttp1('fault 7: an upgrade to h2c is never tunnelled', async (over) => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const fields = { upgrade: 'h2c', connection: 'Upgrade, HTTP2-Settings', 'http2-settings': 'AAA' };
  await withApplication({ over }, async (application) => {
    const raw = await application.dial();
    raw.write(handshake({ fields }), preface, clientFrame(TEXT, 'tunnelled'));
    const { head } = await readRefusal(raw);
    assert.equal(head.status, 426);
    assert.deepEqual(application.events, []);
  });
  const { urls, request } = countingRequests();
  await withApplication({ over, request }, async (application) => {
    const raw = await application.dial();
    raw.write(handshake({ fields, path: '/page' }), preface, handshake({ path: '/second' }));
    const { head, body } = await readRefusal(raw);
    // RFC 9110 7.8: a server may answer as though there were no Upgrade.
    assert.equal(head.status, 200);
    assert.equal(body, 'plain\n');
    assert.deepEqual(urls, ['GET /page']);
    assert.deepEqual(application.events, []);
  });
});

test('fault 7: who is refused and holds the connection open does not hold the server', async () => {
  const { request } = countingRequests();
  const server = await serve({ routes: {}, request });
  const held: RawSocket[] = [];
  for (const upgrade of ['h2c', 'websocket']) {
    const raw = await dial(server.port, false);
    held.push(raw);
    raw.write(handshake({ fields: { upgrade } }));
    const head = await raw.readHead();
    assert.equal(head.status, upgrade === 'h2c' ? 200 : 404);
  }
  await within('server.close()', server.close({ timeoutMs: 100 }));
  for (const raw of held) raw.destroy();
});

testOverHttp1('fault 8: Sec-WebSocket-Key absent or twice is refused', async (over) => {
  await withApplication({ over }, async (application) => {
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    for (const value of [
      undefined,
      '',
      [key, key],
      [key, 'AAAAAAAAAAAAAAAAAAAAAA=='],
      `${key}, ${key}`,
    ]) {
      await expectRefusal(application, { fields: { 'sec-websocket-key': value } }, 400);
    }
  });
});

testOverHttp1('fault 9: a key that is not sixteen bytes in base64 is refused', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const key of [
      Buffer.alloc(15, 1).toString('base64'),
      Buffer.alloc(17, 1).toString('base64'),
      Buffer.alloc(18, 1).toString('base64'),
      'dGhlIHNhbXBsZSBub25jZQ',
      'dGhlIHNhbXBsZSBub25jZQ=',
      'dGhlIHNhbXBsZSBub25jZ-==',
      'dGhl IHNhbXBsZSBub25jZ==',
      'the sample nonce, plain.',
    ]) {
      await expectRefusal(application, { fields: { 'sec-websocket-key': key } }, 400);
    }
  });
});

testOverHttp1(
  'fault 10: a version that is not 13 is answered 426 with Sec-WebSocket-Version: 13',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const version of [
        undefined,
        '',
        '99',
        '8',
        '0xd',
        '1.3e1',
        '13,13',
        '013',
        '+13',
        ['13', '13'],
      ]) {
        const fields = { 'sec-websocket-version': version };
        const head = await expectRefusal(application, { fields }, 426);
        assert.equal(head.get('sec-websocket-version'), '13');
        assert.equal(head.get('upgrade'), 'websocket');
      }
    });
  },
);

testOverHttp1(
  'fault 11: a subprotocol list that is empty, has duplicates or is no list is refused',
  async (over) => {
    await withApplication({ over, route: { protocols: ['chat'] } }, async (application) => {
      for (const value of [
        '',
        ',',
        'chat,',
        'chat,,soap',
        'chat, chat',
        ['chat', 'chat'],
        'a b',
        '"chat"',
      ]) {
        await expectRefusal(application, { fields: { 'sec-websocket-protocol': value } }, 400);
      }
      const several = { 'sec-websocket-protocol': ['soap', 'chat, wamp'] };
      await expectOpening(application, { fields: several }, 'chat');
      await expectOpening(application, { fields: { 'sec-websocket-protocol': 'Chat' } });
    });
  },
);

testOverHttp1('fault 11: spaces in a subprotocol list take linear time', async (over) => {
  const limits = { maxHeaderBytes: 4 * 1024 * 1024 };
  await withApplication({ over, limits, route: { protocols: ['chat'] } }, async (application) => {
    for (const count of [32_000, 320_000]) {
      const spaces = ' '.repeat(count);
      const offered = { 'sec-websocket-protocol': `soap${spaces},${spaces}chat` };
      await expectOpening(application, { fields: offered }, 'chat');
      application.forget();
      const between = { 'sec-websocket-protocol': `chat${spaces}x` };
      await expectRefusal(application, { fields: between }, 400);
      const commas = { 'sec-websocket-protocol': 'chat, '.repeat(count / 10) };
      await expectRefusal(application, { fields: commas }, 400);
    }
  });
});

testOverHttp1(
  'fault 12: extensions named as properties of an object are declined',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const name of ['constructor', '__proto__', 'toString', 'permessage-deflate']) {
        const offered = `${name}; ${name}=1; hasOwnProperty`;
        await expectOpening(application, { fields: { 'sec-websocket-extensions': offered } });
      }
    });
  },
);

testOverHttp1(
  'fault 12: a malformed list of extensions is refused, an unclosed string of backslashes in linear time',
  async (over) => {
    const limits = { maxHeaderBytes: 4 * 1024 * 1024 };
    await withApplication({ over, limits }, async (application) => {
      for (const value of ['', ';', 'a;', 'a b', 'a; b=', 'a; b=""', 'a; b="c', 'a; b=c d']) {
        await expectRefusal(application, { fields: { 'sec-websocket-extensions': value } }, 400);
      }
      for (const count of [30_000, 300_000]) {
        for (const value of [
          `a; b="${'\\'.repeat(count)}`,
          `a; b="${'\\c'.repeat(count / 2)}`,
          `a${' '.repeat(count)}b`,
          `a; b="${'c'.repeat(count)}`,
        ]) {
          await expectRefusal(application, { fields: { 'sec-websocket-extensions': value } }, 400);
        }
      }
    });
  },
);

testOverHttp1('fault 13: too many headers are answered 431', async (over) => {
  await withApplication({ over }, async (application) => {
    const many = (count: number): RawRequest['fields'] =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}`, '']));
    // Five are the handshake's own.
    await expectOpening(application, { fields: { ...many(95) } });
    application.forget();
    await expectRefusal(application, { fields: { ...many(96) } }, 431);
    await expectRefusal(application, { fields: { x: Array<string>(2001).fill('') } }, 431);
  });
});

testOverHttp1(
  'fault 13: a header of 20 MB is answered 431 or cut off, and is not kept',
  async (over) => {
    await withApplication({ over }, async (application) => {
      const raw = await application.dial();
      const before = process.memoryUsage().rss;
      const megabyte = Buffer.alloc(1024 * 1024, 'a');
      let peak = 0;
      let written = 0;
      raw.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: ');
      while (written < 20 && !raw.socket.destroyed) {
        const taken = new Promise<void>((resolve) => {
          raw.socket.write(megabyte, () => resolve());
        });
        await within('the server to take or to refuse', taken);
        written++;
        peak = Math.max(peak, process.memoryUsage().rss);
      }
      // Node answers and destroys; what we still write may reset the connection under the answer.
      const answer = await raw.drainText();
      if (answer !== '') assert.match(answer, /^HTTP\/1\.1 431 /);
      assert.ok(peak - before < 15 * 1024 * 1024, `${peak - before} bytes more`);
      assert.deepEqual(application.events, []);
    });
  },
);

testOverHttp1(
  'fault 14: a head that comes byte by byte, or not at all, is answered 408 or cut off',
  async (over) => {
    await withApplication({ over, limits: { handshakeTimeoutMs: 200 } }, async (application) => {
      const slow = await application.dial();
      const silent = await application.dial();
      const half = await application.dial();
      half.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgr');
      let stopped = false;
      const feeding = (async () => {
        for (const byte of Buffer.from(handshake())) {
          if (stopped) return;
          slow.socket.write(Buffer.of(byte));
          await delay(50);
        }
      })();
      for (const raw of [slow, half, silent]) {
        const answer = await raw.drainText();
        if (answer !== '') assert.match(answer, /^HTTP\/1\.1 408 /);
      }
      stopped = true;
      await feeding;
      assert.deepEqual(application.events, []);
    });
  },
);

testOverHttp1(
  'fault 15: a foreign origin, or null, is answered 403 before the application is asked',
  async (over) => {
    const scheme = over === 'TLS' ? 'https' : 'http';
    await withApplication({ over }, async (application) => {
      for (const origin of [
        'https://evil.example',
        'null',
        // A page that came in cleartext may be anybody's. The other way round, TLS may end at a proxy.
        ...(over === 'TLS' ? ['http://127.0.0.1'] : []),
        '',
        `${scheme}://127.0.0.1.evil.example`,
        `${scheme}://127.0.0.1:8081`,
        `${scheme}://127.0.0.1@evil.example`,
        ['http://127.0.0.1', 'http://127.0.0.1'],
        'http://127.0.0.1 http://127.0.0.1',
        'file://',
      ]) {
        await expectRefusal(application, { fields: { origin } }, 403);
      }
      await expectOpening(application, { fields: { origin: `${scheme}://127.0.0.1` } });
      await expectOpening(application, {});
    });
    const origins = ['https://good.example', 'null'];
    await withApplication({ over, route: { origins } }, async (application) => {
      await expectRefusal(application, { fields: { origin: 'http://127.0.0.1' } }, 403);
      await expectRefusal(application, { fields: { origin: 'http://good.example' } }, 403);
      await expectOpening(application, { fields: { origin: 'https://good.example' } });
      await expectOpening(application, { fields: { origin: 'null' } });
    });
  },
);

testOverHttp1(
  'fault 16: a host that is not on the list is answered 421 before the application is asked',
  async (over) => {
    const hosts = ['127.0.0.1', 'good.example:8080'];
    await withApplication({ over, hosts }, async (application) => {
      for (const host of ['evil.example', 'good.example', 'good.example:81', 'localhost']) {
        await expectRefusal(application, { fields: { host } }, 421);
      }
      await expectOpening(application, { fields: { host: '127.0.0.1:1234' } });
      await expectOpening(application, { fields: { host: 'GOOD.example:8080' } });
    });
  },
);

test('the raw client agrees with connect on what a handshake and a frame are', async () => {
  await withApplication({}, async (application) => {
    const peer = await connect(application.server.url);
    peer.send('hello');
    const messages = peer[Symbol.asyncIterator]();
    assert.deepEqual(await messages.next(), { done: false, value: 'hello' });
    peer.close(1000);
    await peer.closed;
    await application.expectEvents('upgrade', 'open', 'text hello', 'close 1000');
    application.forget();
    const raw = await application.open();
    // RFC 6455 5.7's example of a masked frame.
    raw.write(hex('81 85 m 7f9f4d5158'));
    await raw.expectFrame(TEXT, 'Hello');
    await application.expectEvents('upgrade', 'open', 'text Hello');
  });
});
