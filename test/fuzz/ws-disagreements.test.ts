import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { cutInto } from '../protocol/splitting.ts';
import { ourEvents } from './stream-events.ts';
import { disagreements, firstDifference, listed, wsLimits } from './ws-disagreements.ts';
import { page, render } from './ws-document.ts';
import { theirEvents } from './ws-receiver.ts';

suite('what ws and Aperto disagree about', () => {
  for (const each of disagreements) {
    test(`is still so: ${each.about}`, async () => {
      const stream = Uint8Array.from(Buffer.from(each.example.replaceAll(' ', ''), 'hex'));
      const isToServer = each.isToServer === true;
      const ours = ourEvents([stream], isToServer, wsLimits, each.agreement);
      const theirs = await theirEvents([stream], isToServer, wsLimits, each.agreement);
      const difference = firstDifference(ours, theirs);
      assert.ok(difference, `they agree: ${JSON.stringify(ours)}`);
      assert.equal(listed(difference, stream, each.agreement), each, JSON.stringify(difference));
      // Theirs does not depend on how it is cut either: what is compared with is one thing.
      const cut = await theirEvents(cutInto(stream, [1]), isToServer, wsLimits, each.agreement);
      assert.deepEqual(cut, theirs);
    });
  }

  test('stands in docs/ws-disagreements.md', () => {
    assert.equal(readFileSync(page, 'utf8'), render(), 'write it anew: npm run disagreements');
  });

  test('and what is not listed is found', () => {
    const text = { kind: 'text', content: '61' } as const;
    const other = { kind: 'text', content: '62' } as const;
    const difference = firstDifference([text], [other]);
    assert.ok(difference);
    assert.equal(listed(difference, new Uint8Array(0), undefined), undefined);
    assert.equal(firstDifference([text], [text]), undefined);
  });
});
