import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { PeerList } from '../../dist/node/peer-list.js';

function session(peer: string): { readonly peer: string; place: number } {
  return { peer, place: -1 };
}

suite('a list of peers', () => {
  test('holds what was added and not removed, in whatever order that happened', () => {
    const list = new PeerList<string>();
    const sessions = Array.from({ length: 100 }, (_, index) => session(`${index}`));
    const expected = new Set<string>();
    // A step of 37 visits all of a hundred: in and out in different orders.
    for (let step = 0; step < 1000; step++) {
      const one = sessions[(step * 37) % 100];
      assert.ok(one !== undefined);
      const isIn = expected.has(one.peer);
      if (isIn && step % 3 === 0) {
        list.remove(one);
        expected.delete(one.peer);
      } else if (!isIn) {
        list.add(one);
        expected.add(one.peer);
      }
      assert.equal(list.size, expected.size);
      assert.deepEqual([...list].sort(), [...expected].sort());
    }
    for (const one of sessions) if (expected.has(one.peer)) list.remove(one);
    assert.deepEqual([...list], []);
  });

  test('a loop goes over those that were there when it began', () => {
    const list = new PeerList<string>();
    const sessions = ['one', 'two', 'three'].map(session);
    for (const one of sessions) list.add(one);
    const seen: string[] = [];
    for (const peer of list) {
      seen.push(peer);
      const next = sessions.pop();
      if (next !== undefined) list.remove(next);
      list.add(session('late'));
    }
    assert.deepEqual(seen.sort(), ['one', 'three', 'two']);
    assert.equal(list.size, 3);
  });
});
