import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { nodePlatform } from '../../../dist/node/node-platform.js';
import { parseExtensions } from '../../../dist/protocol/extensions/extension-header.js';
import { resolveCompression } from '../../../dist/protocol/extensions/permessage-deflate.js';
import { checkExtendedConnect } from '../../../dist/protocol/handshake/extended-connect.js';
import { HeaderFields } from '../../../dist/protocol/handshake/header-fields.js';
import {
  checkUpgrade,
  type UpgradeRules,
} from '../../../dist/protocol/handshake/server-handshake.js';
import {
  acceptResponse,
  refusalResponse,
} from '../../../dist/protocol/handshake/server-response.js';
import { headerWords, lowerCase, PlainFields, rawFieldsOf, TOKEN } from '../header-lines.ts';
import { Input, linesOf } from '../input.ts';
import type { Target } from '../target.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MAX_HEADERS = 12;
// RFC 3986 3.2.2, RFC 9110 7.2.
const HOST = /^(\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::(\d*))?$/;

/** @param options bit 0: a list of hosts; bit 1: a list of origins; bit 2: TLS; bit 3: compression; bit 4: takeover. */
function rulesOf(options: number): UpgradeRules {
  return {
    protocols: ['superchat', 'chat'],
    origins: (options & 2) === 0 ? '*' : ['https://example.com', 'null'],
    hosts: (options & 1) === 0 ? undefined : ['example.com', 'example.org:8080'],
    encrypted: (options & 4) !== 0,
    maxHeaders: MAX_HEADERS,
    compression: resolveCompression((options & 8) !== 0 && { takeover: (options & 16) !== 0 }),
  };
}

function isHostAllowed(host: string, { hosts, encrypted }: UpgradeRules): boolean {
  const [whole, name = '', port = ''] = HOST.exec(host) ?? [];
  if (whole === undefined || Number(port) > 65_535) return false;
  if (hosts === undefined) return true;
  const number = port === '' ? (encrypted ? 443 : 80) : Number(port);
  const plain = lowerCase(name);
  return plain === 'example.com' || (plain === 'example.org' && number === 8_080);
}

function isOriginAllowed(origins: readonly string[], { origins: policy }: UpgradeRules): boolean {
  if (origins.length === 0) return true;
  if (origins.length > 1) return false;
  const [origin = ''] = origins;
  return (
    policy === '*' || /^https:\/\/example\.com(?::0*443|:)?$/i.test(origin) || origin === 'null'
  );
}

/** RFC 6455 4.2.1, sentence by sentence. */
function isGranted(
  method: string,
  version: string,
  raw: readonly string[],
  rules: UpgradeRules,
): boolean {
  const fields = new PlainFields(raw);
  const protocols = fields.list('sec-websocket-protocol');
  return (
    method === 'GET' &&
    /^(?:1\.[1-9]|[2-9]\.\d)$/.test(version) &&
    raw.length / 2 <= MAX_HEADERS &&
    fields.isOnce('host', HOST) &&
    isHostAllowed(fields.all('host')[0] ?? '', rules) &&
    fields.all('content-length').every((length) => length === '0') &&
    fields.all('transfer-encoding').length === 0 &&
    fields.has('upgrade', 'websocket') &&
    fields.has('connection', 'upgrade') &&
    fields.isOnce('sec-websocket-version', /^13$/) &&
    fields.isOnce('sec-websocket-key', /^[A-Za-z0-9+/]{22}==$/) &&
    protocols.every((protocol) => TOKEN.test(protocol)) &&
    new Set(protocols).size === protocols.length &&
    // Judged by a target of its own.
    parseExtensions(fields.all('sec-websocket-extensions')) !== undefined &&
    isOriginAllowed(fields.all('origin'), rules)
  );
}

export const serverHandshake: Target = {
  name: 'server-handshake',
  invariant:
    'Whatever a request says, it is granted exactly where every sentence of RFC 6455 4.2.1 and the rules of the route are kept, with the right Accept and only what was offered, else refused with a status of 400 or more, and neither answer has a line that the request could have written.',
  words: headerWords,
  run(bytes) {
    const input = new Input(bytes);
    const options = input.byte();
    const rules = rulesOf(options);
    const [start = '', ...lines] = linesOf(input.rest());
    const [method = '', version = ''] = start.split(' ');
    const raw = rawFieldsOf(lines);
    const fields = new HeaderFields(raw);
    const answer = checkUpgrade({ method, httpVersion: version, fields }, rules, nodePlatform);
    assert.equal(
      'accept' in answer,
      isGranted(method, version, raw, rules),
      JSON.stringify(answer),
    );

    const connect = {
      protocol: 'websocket',
      scheme: 'https',
      path: '/',
      authority: undefined,
      fields,
    };
    const connected = checkExtendedConnect(connect, rules);
    if ('reject' in answer) {
      assert.ok(answer.status >= 400 && answer.status < 600);
      const response = refusalResponse(answer.status, answer.headers, 'no', nodePlatform);
      const [head = '', body] = Buffer.from(response).toString('latin1').split('\r\n\r\n');
      assert.equal(body, 'no');
      for (const line of head.split('\r\n').slice(1)) assert.match(line, /^[\w-]+: [ -~]+$/);
      return `${answer.reject} ${'reject' in connected ? connected.reject : 'granted'}`;
    }
    const plain = new PlainFields(raw);
    const key = plain.all('sec-websocket-key')[0] ?? '';
    assert.equal(answer.accept, createHash('sha1').update(`${key}${GUID}`).digest('base64'));
    const spoken = plain
      .list('sec-websocket-protocol')
      .find((one) => rules.protocols.includes(one));
    assert.equal(answer.protocol, spoken ?? '');
    // The same over HTTP/2.
    assert.ok('protocol' in connected);
    assert.deepEqual(
      { protocol: connected.protocol, deflate: connected.deflate },
      { protocol: answer.protocol, deflate: answer.deflate },
    );
    const sent = acceptResponse(answer).split('\r\n');
    assert.deepEqual(sent.slice(-2), ['', '']);
    const names = sent.slice(1, -2).map((line) => /^([\w-]+): [ -~]+$/.exec(line)?.[1]);
    assert.deepEqual(names, [
      'Upgrade',
      'Connection',
      'Sec-WebSocket-Accept',
      ...(answer.protocol === '' ? [] : ['Sec-WebSocket-Protocol']),
      ...(answer.deflate === undefined ? [] : ['Sec-WebSocket-Extensions']),
    ]);
    return `granted ${answer.protocol} ${answer.deflate?.response}`;
  },
};
