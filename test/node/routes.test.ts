import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultLimits, type Route, serve } from '../../dist/index.js';
import { Routes } from '../../dist/node/routes.js';

function routesOf(...patterns: string[]): { find(url: string): string | undefined } {
  const named: Record<string, Route<undefined>> = {};
  for (const pattern of patterns) named[pattern] = {};
  const routes = new Routes(named, defaultLimits, undefined);
  return {
    find(url) {
      const found = routes.find(url)?.handlers;
      return patterns.find((pattern) => named[pattern] === found);
    },
  };
}

describe('which route is for a path', () => {
  const routes = routesOf('/chat', '/rooms/*', '/rooms/vip/*', '/rooms/vip/one', '/pre*');
  const cases: [url: string, route: string | undefined][] = [
    ['/chat', '/chat'],
    ['/chat?room=1', '/chat'],
    ['/chat?a=/rooms/', '/chat'],
    ['/chat/', undefined],
    ['/chatter', undefined],
    ['/Chat', undefined],
    ['/', undefined],
    ['/rooms', undefined],
    ['/rooms/', '/rooms/*'],
    ['/rooms/a/b', '/rooms/*'],
    ['/rooms/vip', '/rooms/*'],
    ['/rooms/vip/', '/rooms/vip/*'],
    ['/rooms/vip/one', '/rooms/vip/one'],
    ['/rooms/vip/one/two', '/rooms/vip/*'],
    ['/prefix', '/pre*'],
    ['http://host/chat?x', '/chat'],
    ['HTTPS://host:8080/rooms/a', '/rooms/*'],
    ['http://host', undefined],
    ['/constructor', undefined],
    ['__proto__', undefined],
  ];
  for (const [url, route] of cases) {
    test(`${url} is for ${route ?? 'none'}`, () => assert.equal(routes.find(url), route));
  }

  test('* takes what no other does', () => {
    const all = routesOf('*', '/a', '/b/*');
    assert.equal(all.find('/a'), '/a');
    assert.equal(all.find('/b/c'), '/b/*');
    assert.equal(all.find('/c'), '*');
    assert.equal(all.find('http://host'), '*');
  });

  test('/ alone is the root', () => {
    const root = routesOf('/');
    assert.equal(root.find('/'), '/');
    assert.equal(root.find('/?q'), '/');
    assert.equal(root.find('http://host'), '/');
    assert.equal(root.find('http://host?q'), '/');
    assert.equal(root.find('/x'), undefined);
  });
});

describe('routes that are none', () => {
  for (const pattern of ['', 'chat', 'chat/*', '/a*b', '/a/**', '/a?b', '/a#b', '**', '*/a']) {
    test(JSON.stringify(pattern), async () => {
      await assert.rejects(serve({ routes: { [pattern]: {} } }), { code: 'INVALID_OPTION' });
    });
  }
});

for (const routes of [undefined, null, 5, { '/': null }, { '/': () => {} }]) {
  test(`${JSON.stringify(routes)} of type ${typeof routes} are no routes`, async () => {
    const options = { routes } as unknown as Parameters<typeof serve>[0];
    await assert.rejects(serve(options), { code: 'INVALID_OPTION' });
  });
}
