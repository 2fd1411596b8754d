import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultChatLimits } from '../../apps/chat/dist/server/limits.js';
import {
  type Checked,
  checkName,
  checkRoom,
  checkText,
  isMessageId,
} from '../../apps/chat/dist/server/names.js';

const name = (given: string): Checked => checkName(given, defaultChatLimits);
const room = (given: string): Checked => checkRoom(given, defaultChatLimits);
const text = (given: string): Checked => checkText(given, defaultChatLimits);

function accepted(checked: Checked): string {
  assert.ok(checked.ok, checked.ok ? '' : checked.problem);
  return checked.value;
}

test('a name is trimmed, brought to NFC, and its runs of spaces become one', () => {
  assert.equal(accepted(name('  Ana\u00a0\u2003 Maria ')), 'Ana Maria');
  assert.equal(accepted(name('Jose\u0301')), 'Jos\u00e9');
});

test('a name has 1 to 32 characters, counted as code points', () => {
  assert.equal(accepted(name('a'.repeat(32))).length, 32);
  assert.equal(accepted(name('😀'.repeat(32))).length, 64);
  for (const wrong of ['', '   ', 'a'.repeat(33), '😀'.repeat(33)]) {
    const checked = name(wrong);
    assert.equal(checked.ok ? '' : checked.problem, 'a name has 1 to 32 characters');
  }
});

test('a name has no colon and does not begin with * or /', () => {
  for (const wrong of ['a:b', ':', '*', '* Ana left', ' *Ana', '/nick']) {
    assert.equal(name(wrong).ok, false, wrong);
  }
  assert.equal(accepted(name('Ana*')), 'Ana*');
  assert.equal(accepted(name('A/B')), 'A/B');
});

test('a name has no control, line separator, surrogate or invisible formatting character', () => {
  const wrong = ['\0', '\t', '\n', '\r', '\u001b', '\u007f', '\u0085', '\u2028', '\u2029'];
  wrong.push('\ud800', '\udc00', '\u202e', '\u2066', '\u200b', '\ufeff', '\u{e0041}');
  for (const character of wrong) {
    assert.equal(name(`A${character}B`).ok, false, JSON.stringify(character));
  }
});

test('a name may be spelled with zero-width joiners, but not of nothing else', () => {
  assert.equal(accepted(name('👩‍💻')), '👩‍💻');
  assert.equal(name('\u200d\u200c').ok, false);
});

test('a room name has 1 to 64 characters, and may have what a name may not', () => {
  assert.equal(accepted(room(` *: /${'a'.repeat(60)} `)), `*: /${'a'.repeat(60)}`);
  assert.equal(room('a'.repeat(65)).ok, false);
  assert.equal(room(' ').ok, false);
  assert.equal(room('a\nb').ok, false);
});

test('a text has at most 4,096 bytes of UTF-8', () => {
  assert.equal(accepted(text('a'.repeat(4096))).length, 4096);
  assert.equal(text('a'.repeat(4097)).ok, false);
  assert.equal(accepted(text('€'.repeat(1365))).length, 1365);
  assert.equal(text('€'.repeat(1366)).ok, false);
  assert.equal(text('\0'.repeat(1366)).ok, false, 'counted as what it becomes');
  assert.equal(accepted(text(`${'\r\n'.repeat(4095)}x`)).length, 4096);
});

test('a text is not empty, nor only white space', () => {
  for (const wrong of ['', ' ', '\n\t ', '\u2028']) assert.equal(text(wrong).ok, false);
});

test('line breaks of every kind become line feeds, other controls and lone surrogates U+FFFD', () => {
  assert.equal(
    accepted(text('a\r\nb\rc\vd\fe\u0085f\u2028g\u2029h\ni\tj')),
    'a\nb\nc\nd\ne\nf\ng\nh\ni\tj',
  );
  assert.equal(
    accepted(text('\u001b[31m\0\u007f\u009b\ud800😀')),
    '\ufffd[31m\ufffd\ufffd\ufffd\ufffd😀',
  );
});

test('property: no text that is accepted holds a control character, and no byte of it is dropped', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (given) => {
      const checked = text(given);
      if (!checked.ok) return;
      assert.ok(!/[^\n\t\P{Cc}]|\p{Cs}/u.test(checked.value));
      const breaks = given.replaceAll('\r\n', '\n');
      assert.equal([...checked.value].length, [...breaks].length);
    }),
  );
});

test('property: a name that is accepted is accepted unchanged a second time', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (given) => {
      const once = name(given);
      if (once.ok) assert.deepEqual(name(once.value), once);
    }),
  );
});

test('an id is 1 to 64 printable ASCII characters without space', () => {
  for (const right of ['1', 'a'.repeat(64), '{b3a1-f0c4}', '~!']) assert.ok(isMessageId(right));
  for (const wrong of ['', 'a'.repeat(65), 'a b', 'é', 'a\n', '\u007f']) {
    assert.ok(!isMessageId(wrong), JSON.stringify(wrong));
  }
});
