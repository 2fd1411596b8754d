import assert from 'node:assert/strict';
import { parseExtensions } from '../../../dist/protocol/extensions/extension-header.js';
import {
  checkAccepted,
  resolveCompression,
} from '../../../dist/protocol/extensions/permessage-deflate.js';
import {
  checkResponse,
  type HandshakeExpectation,
} from '../../../dist/protocol/handshake/client-handshake.js';
import { checkConnected } from '../../../dist/protocol/handshake/extended-connect.js';
import { HeaderFields } from '../../../dist/protocol/handshake/header-fields.js';
import { headerWords, lowerCase, PlainFields, rawFieldsOf } from '../header-lines.ts';
import { Input, linesOf } from '../input.ts';
import type { Target } from '../target.ts';

/** RFC 6455 1.3. */
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

/** @param options bit 0: compression; bit 1: takeover; bit 2: subprotocols. */
function expectationOf(options: number): HandshakeExpectation {
  return {
    accept: ACCEPT,
    protocols: (options & 4) === 0 ? [] : ['chat', 'superchat'],
    compression: resolveCompression((options & 1) !== 0 && { takeover: (options & 2) !== 0 }),
  };
}

/** Whether the extensions are none, or an answer to what was offered; that itself is judged by a target of its own. */
function isExtensionGranted(fields: PlainFields, { compression }: HandshakeExpectation): boolean {
  const lines = fields.all('sec-websocket-extensions').filter((line) => line !== '');
  if (lines.length === 0) return true;
  const parsed = parseExtensions(lines);
  return (
    compression !== undefined &&
    parsed !== undefined &&
    typeof checkAccepted(parsed, compression) === 'object'
  );
}

function isWhatWasOffered(fields: PlainFields, expected: HandshakeExpectation): boolean {
  const protocols = fields.all('sec-websocket-protocol');
  return (
    isExtensionGranted(fields, expected) &&
    (protocols.length === 0 ||
      (protocols.length === 1 && expected.protocols.includes(protocols[0] ?? '')))
  );
}

/** RFC 6455 4.1, what a client requires of the response, sentence by sentence. */
function isTaken(status: number, fields: PlainFields, expected: HandshakeExpectation): boolean {
  const [upgrade = '', ...others] = fields.all('upgrade');
  const [accept, ...more] = fields.all('sec-websocket-accept');
  return (
    status === 101 &&
    lowerCase(upgrade) === 'websocket' &&
    others.length === 0 &&
    fields.has('connection', 'upgrade') &&
    accept === ACCEPT &&
    more.length === 0 &&
    isWhatWasOffered(fields, expected)
  );
}

export const clientHandshake: Target = {
  name: 'client-handshake',
  invariant:
    'Whatever a response says, it opens the connection exactly where every sentence of RFC 6455 4.1 is kept, with a subprotocol and an extension that were offered or none, and nothing that a server says throws.',
  words: headerWords,
  run(bytes) {
    const input = new Input(bytes);
    const expected = expectationOf(input.byte());
    const [start = '', ...lines] = linesOf(input.rest());
    const status = /^\d{3}$/.test(start) ? Number(start) : 0;
    const raw = rawFieldsOf(lines);
    const response = { status, fields: new HeaderFields(raw) };
    const plain = new PlainFields(raw);
    const result = checkResponse(response, expected);
    assert.equal('protocol' in result, isTaken(status, plain, expected), JSON.stringify(result));

    // Over HTTP/2.
    const connected = checkConnected(response, expected);
    const isTunnel = status >= 200 && status < 300;
    assert.equal('protocol' in connected, isTunnel && isWhatWasOffered(plain, expected));

    const told =
      'reject' in result ? result.reject : `opened ${result.protocol} ${result.extensions !== ''}`;
    return `${told} ${'reject' in connected ? connected.reject : 'tunnel'}`;
  },
};
