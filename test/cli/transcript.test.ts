import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Happening, transcriptLine } from '../../dist/cli/transcript.js';

const terminal = { json: false, terminal: true, color: false };
const pipe = { json: false, terminal: false, color: false };
const json = { json: true, terminal: false, color: false };

test('what a peer says does not drive the terminal', () => {
  const message: Happening = { event: 'message', data: 'a\u001b[2Jb\u0007\u202e\n\tc' };
  assert.equal(transcriptLine(message, terminal), 'a\\u{1b}[2Jb\\u{7}\\u{202e}\n\tc');
  assert.equal(
    transcriptLine(message, pipe),
    'a\u001b[2Jb\u0007\u202e\n\tc',
    'a pipe gets it as it is',
  );
  const close: Happening = { event: 'close', code: 1000, reason: '\u001b]0;x' };
  assert.equal(transcriptLine(close, terminal), 'closed with 1000: \\u{1b}]0;x');
});

test('a terminal is told of events, dimmed where it has colours; a pipe only of messages', () => {
  const events: [Happening, string][] = [
    [{ event: 'open', url: 'ws://x', protocol: '', extensions: '' }, 'connected to ws://x'],
    [
      { event: 'open', url: 'ws://x', protocol: 'a', extensions: 'permessage-deflate' },
      'connected to ws://x, subprotocol a, permessage-deflate',
    ],
    [{ event: 'pong', payload: Buffer.from('p') }, 'pong p'],
    [{ event: 'close', code: 1005, reason: '' }, 'closed with 1005'],
  ];
  for (const [happening, line] of events) {
    assert.equal(transcriptLine(happening, terminal), line);
    assert.equal(
      transcriptLine(happening, { ...terminal, color: true }),
      `\u001b[2m${line}\u001b[22m`,
    );
    assert.equal(transcriptLine(happening, pipe), undefined);
  }
});

test('JSON has everything, bytes in base64', () => {
  for (const [happening, expected] of [
    [
      { event: 'message', data: Uint8Array.of(1) },
      { event: 'message', base64: 'AQ==' },
    ],
    [
      { event: 'ping', payload: Uint8Array.of(1) },
      { event: 'ping', base64: 'AQ==' },
    ],
    [
      { event: 'close', code: 1000, reason: 'x' },
      { event: 'close', code: 1000, reason: 'x' },
    ],
    [
      { event: 'message', data: 'a\u0007\u009b\u202e\u{e0001}\u2028ä' },
      { event: 'message', data: 'a\u0007\u009b\u202e\u{e0001}\u2028ä' },
    ],
  ] as const) {
    assert.deepEqual(JSON.parse(transcriptLine(happening, json) ?? ''), expected);
  }
});

test('JSON does not drive the terminal either', () => {
  const line = transcriptLine({ event: 'message', data: '\u009b\u202e\u{e0001}ä' }, json);
  assert.equal(line, '{"event":"message","data":"\\u009b\\u202e\\udb40\\udc01ä"}');
});
