import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { prometheusHandler, RejectUpgrade, type ServerMetrics } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, startServer } from './connections.ts';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

/** Label values: any character, with `\\`, `"` and line feed escaped. */
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/y;

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let at = 0;
  while (at < text.length) {
    LABEL.lastIndex = at;
    const match = LABEL.exec(text);
    assert.ok(match, `no label: ${text.slice(at)}`);
    const [all, name = '', value = ''] = match;
    assert.ok(!(name in labels), `${name} twice`);
    assert.doesNotMatch(name, /^__/, 'reserved');
    labels[name] = value;
    at += all.length;
    if (at < text.length) assert.equal(text[at++], ',');
  }
  return labels;
}

/** Reads the text format, version 0.0.4, by its rules. */
function parse(page: string): Map<string, Family> {
  const families = new Map<string, Family>();
  assert.ok(page.endsWith('\n'), 'the last line ends with a line feed');
  assert.doesNotMatch(page, /\r/);
  let current = '';
  let help: [name: string, text: string] | undefined;
  for (const line of page.slice(0, -1).split('\n')) {
    const helpLine = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    const typeLine = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)$/.exec(line);
    if (helpLine !== null) {
      const [, name = '', text = ''] = helpLine;
      // A backslash is escaped there.
      assert.doesNotMatch(text, /\\(?![\\n])/);
      assert.ok(!families.has(name), `${name} stands in two groups`);
      help = [name, text];
      continue;
    }
    if (typeLine !== null) {
      const [, name = '', type = ''] = typeLine;
      assert.equal(help?.[0], name, 'a TYPE behind its HELP');
      families.set(name, { help: help?.[1] ?? '', type, samples: [] });
      current = name;
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    assert.ok(sample, `not of the format: ${line}`);
    const [, name = '', labels = '', value = ''] = sample;
    assert.equal(name, current, 'all lines of a metric stand together, behind its HELP and TYPE');
    assert.match(value, /^[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf|NaN)$/);
    families.get(name)?.samples.push({ labels: labelsOf(labels), value: Number(value) });
  }
  return families;
}

/** By its name, and its labels where it has some. */
function valuesOf(page: string): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [name, { samples }] of parse(page)) {
    const seen = new Set<string>();
    for (const { labels, value } of samples) {
      const key = JSON.stringify(labels);
      assert.ok(!seen.has(key), `${name} has ${key} twice`);
      seen.add(key);
      values[`${name}${Object.values(labels).map((label) => `/${label}`)}`] = value;
    }
  }
  return values;
}

function count(of: number) {
  return { messages: of, bytesIn: of + 1, bytesOut: of + 2, milliseconds: of + 3 };
}

const metrics: ServerMetrics = {
  connections: {
    open: 1,
    opened: 2,
    refused: { NO_ROUTE: 3, 'status 401': 4 },
    closed: { 1000: 5, 1006: 6 },
  },
  messages: { received: 7, sent: 8, dropped: 9, unpublished: 10 },
  bytes: { received: 2 ** 53 - 1, sent: 12 },
  gaps: 13,
  compression: { deflated: count(1_000), inflated: count(2_000) },
  errors: 14,
};

/** What the handler answers, over real HTTP. */
async function scrape(of: ServerMetrics): Promise<{ page: string; response: Response }> {
  const { createServer } = await import('node:http');
  const http = createServer(prometheusHandler({ metrics: () => of }));
  await once(http.listen(0, '127.0.0.1'), 'listening');
  try {
    const address = http.address();
    assert.ok(typeof address === 'object' && address !== null);
    const response = await fetch(`http://127.0.0.1:${address.port}/whatever`);
    return { page: await response.text(), response };
  } finally {
    http.closeAllConnections();
    http.close();
  }
}

test('the page is of the text format, each metric with HELP and TYPE', async () => {
  const { page, response } = await scrape(metrics);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const families = parse(page);
  for (const [name, { help, type, samples }] of families) {
    assert.match(name, /^aperto_[a-z_]+$/);
    assert.ok(help.length > 10);
    // https://prometheus.io/docs/practices/naming/: what counts up ends so, and nothing else does.
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.ok(samples.length > 0, `${name} has no sample`);
  }
});

test('it has all that metrics() tells', async () => {
  const { page } = await scrape(metrics);
  assert.deepEqual(valuesOf(page), {
    aperto_connections: 1,
    aperto_connections_opened_total: 2,
    'aperto_handshakes_refused_total/NO_ROUTE': 3,
    'aperto_handshakes_refused_total/status 401': 4,
    'aperto_connections_closed_total/1000': 5,
    'aperto_connections_closed_total/1006': 6,
    aperto_messages_received_total: 7,
    aperto_messages_sent_total: 8,
    aperto_messages_dropped_total: 9,
    aperto_messages_unpublished_total: 10,
    aperto_bytes_received_total: 2 ** 53 - 1,
    aperto_bytes_sent_total: 12,
    aperto_gaps_total: 13,
    aperto_errors_total: 14,
    'aperto_compression_messages_total/deflated': 1_000,
    'aperto_compression_messages_total/inflated': 2_000,
    'aperto_compression_bytes_in_total/deflated': 1_001,
    'aperto_compression_bytes_in_total/inflated': 2_001,
    'aperto_compression_bytes_out_total/deflated': 1_002,
    'aperto_compression_bytes_out_total/inflated': 2_002,
    'aperto_compression_seconds_total/deflated': 1.003,
    'aperto_compression_seconds_total/inflated': 2.003,
  });
  const { samples = [] } = parse(page).get('aperto_connections_closed_total') ?? {};
  assert.deepEqual(samples[0]?.labels, { code: '1000' });
});

test('very small and very large values are numbers of the format as well', async () => {
  const compression = { deflated: { ...count(0), milliseconds: 1e-7 }, inflated: count(1e21) };
  const { page } = await scrape({ ...metrics, compression });
  const values = valuesOf(page);
  assert.equal(values['aperto_compression_seconds_total/deflated'], 1e-7 / 1_000);
  assert.equal(values['aperto_compression_messages_total/inflated'], 1e21);
});

test('a real server’s own page, at a path of its own, over HTTP/1.1 and HTTP/2', async (t) => {
  const server = await startServer(t, {
    http2: true,
    routes: {
      '/': {},
      '/no': {
        upgrade() {
          throw new RejectUpgrade(418);
        },
      },
    },
    request(request, response) {
      if (request.url === '/metrics') prometheusHandler(server)(request, response);
      else response.writeHead(404).end();
    },
  });
  const client = await dialTo(t, server.url);
  client.close(4000);
  await within('the end', client.closed);
  await dialTo(t, server.url);
  await expectFailureCode(dialTo(t, `${server.url}/no`), 'STATUS_NOT_101');
  const url = `http://127.0.0.1:${server.port}`;
  const response = await fetch(`${url}/metrics`);
  const values = valuesOf(await response.text());
  assert.equal(values['aperto_connections'], 1);
  assert.equal(values['aperto_connections_opened_total'], 2);
  assert.equal(values['aperto_connections_closed_total/4000'], 1);
  assert.equal(values['aperto_handshakes_refused_total/status 418'], 1);
  assert.equal((await fetch(`${url}/other`)).status, 404);
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);

  const session = connectHttp2(url);
  t.after(() => session.destroy());
  const stream = session.request({ ':path': '/metrics' });
  assert.equal(valuesOf(await within('the page', text(stream)))['aperto_connections'], 1);
});
