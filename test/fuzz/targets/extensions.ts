import assert from 'node:assert/strict';
import {
  type Extension,
  parseExtensions,
} from '../../../dist/protocol/extensions/extension-header.js';
import {
  acceptOffers,
  checkAccepted,
  type DeflateAgreement,
  deflateOffer,
  type ResolvedCompression,
  resolveCompression,
} from '../../../dist/protocol/extensions/permessage-deflate.js';
import { Input, linesOf } from '../input.ts';
import type { Target } from '../target.ts';

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const OWS = '[ \\t]*';
const PARAM = `${OWS};${OWS}(${TOKEN})(?:${OWS}=${OWS}(?:(${TOKEN})|"((?:[^"\\\\]|\\\\[^])*)"))?`;

/** RFC 6455 9.1 by expressions: slow, and seen to be right. */
function plainReading(lines: readonly string[]): readonly Extension[] | undefined {
  const extensions: Extension[] = [];
  for (const line of lines) {
    let rest = line;
    for (;;) {
      // RFC 9110 5.6.1.2: empty elements do not count.
      rest = rest.replace(/^[ \t,]*/, '');
      if (rest === '') break;
      const [whole, name = ''] = new RegExp(`^(${TOKEN})`).exec(rest) ?? [];
      if (whole === undefined) return undefined;
      rest = rest.slice(whole.length);
      const params: [string, string | undefined][] = [];
      for (;;) {
        const param = new RegExp(`^${PARAM}`).exec(rest);
        if (param === null) break;
        const [text, key = '', token, quoted] = param;
        const value = token ?? quoted?.replace(/\\(.)/gs, '$1');
        if (quoted !== undefined && !new RegExp(`^${TOKEN}$`).test(value ?? '')) return undefined;
        params.push([key, value]);
        rest = rest.slice(text.length);
      }
      if (!/^[ \t]*(?:,|$)/.test(rest)) return undefined;
      extensions.push({ name, params });
    }
  }
  return lines.length > 0 && extensions.length === 0 ? undefined : extensions;
}

function optionsOf(input: Input): ResolvedCompression {
  const [takeover, own, peer] = [input.byte(), input.byte(), input.byte()];
  const resolved = resolveCompression({
    takeover: (takeover & 1) === 1,
    windowBits: 9 + (own % 7),
    peerWindowBits: 8 + (peer % 8),
  });
  assert.ok(resolved);
  return resolved;
}

/** What one side sends the other must be able to read. */
function assertFits(sends: DeflateAgreement, reads: DeflateAgreement): void {
  assert.ok(sends.deflateWindowBits <= reads.inflateWindowBits);
  assert.ok(!sends.deflateTakeover || reads.inflateTakeover);
}

function paramOf(params: Extension['params'], name: string): string | true | undefined {
  const found = params.find(([one]) => one === name);
  return found && (found[1] ?? true);
}

/** RFC 7692 7.1: what may be answered to an offer. */
function assertAnswers(offers: readonly Extension[], answer: Extension): void {
  assert.ok(
    offers.some(({ name, params }) => {
      if (name !== 'permessage-deflate') return false;
      const server = paramOf(params, 'server_max_window_bits');
      const answered = paramOf(answer.params, 'server_max_window_bits');
      const client = paramOf(answer.params, 'client_max_window_bits');
      const hint = paramOf(params, 'client_max_window_bits');
      return (
        // 7.1.1.1, 7.1.2.1: what the client asks for it gets.
        (paramOf(params, 'server_no_context_takeover') === undefined ||
          paramOf(answer.params, 'server_no_context_takeover') === true) &&
        (server === undefined || Number(answered) <= Number(server)) &&
        // 7.1.2.2: not unless it was offered, and no more than was offered.
        (client === undefined || hint === true || Number(client) <= Number(hint))
      );
    }),
    'it answers no offer',
  );
}

export const extensions: Target = {
  name: 'extensions',
  invariant:
    'Whatever the lines of a Sec-WebSocket-Extensions header, they are read as the grammar of RFC 6455 9.1 has it, a server answers an offer of permessage-deflate only with what RFC 7692 7.1 allows, a client accepts only what it has offered, and what the two make of each other fits.',
  run(bytes) {
    const input = new Input(bytes);
    const [own, other] = [optionsOf(input), optionsOf(input)];
    const lines = linesOf(input.rest());
    const parsed = parseExtensions(lines);
    assert.deepEqual(parsed, plainReading(lines));

    // Our client and our server, whatever their options.
    const accepted = acceptOffers(parseExtensions([deflateOffer(own)]) ?? [], other);
    if (accepted !== undefined) {
      const answer = checkAccepted(parseExtensions([accepted.response]) ?? [], own);
      assert.ok(typeof answer === 'object', `our client refuses ${accepted.response}`);
      assertFits(accepted.agreement, answer);
      assertFits(answer, accepted.agreement);
    }
    if (parsed === undefined) return 'malformed';

    const granted = acceptOffers(parsed, own);
    if (granted !== undefined) {
      const [answer] = parseExtensions([granted.response]) ?? [];
      assert.ok(answer);
      assertAnswers(parsed, answer);
      // zlib has no raw deflate with 8.
      assert.ok(granted.agreement.deflateWindowBits >= 9);
    }
    const agreed = checkAccepted(parsed, own);
    if (typeof agreed === 'object') {
      const [answer] = parsed;
      assert.ok(parsed.length === 1 && answer);
      assertAnswers(parseExtensions([deflateOffer(own)]) ?? [], answer);
    }
    return `${parsed.length > 0} ${granted?.response} ${typeof agreed === 'string' ? agreed : typeof agreed}`;
  },
  words: [
    'permessage-deflate',
    '; server_no_context_takeover',
    '; client_no_context_takeover',
    '; server_max_window_bits=',
    '; client_max_window_bits',
    '="15"',
    '="1\\5"',
    '=8',
    '=10',
    '=08',
    ', ',
    '\n',
    'constructor',
    '__proto__',
  ].map((word) => Uint8Array.from(Buffer.from(word))),
};
