import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { metrics, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { codeOf, compile, root } from './documented-code.ts';
import { dial, handshake } from './faults/raw-client.ts';
import { within } from './faults/raw-socket.ts';
import { dialTo, expectFailureCode, startServer } from './node/connections.ts';

const folder = join(root, 'build', 'opentelemetry');
const spans = new InMemorySpanExporter();
const points = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const meters = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({ exporter: points, exportIntervalMillis: 3_600_000 }),
  ],
});
const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });

before(async () => {
  const example = codeOf('docs/observability.md').filter((code) =>
    code.startsWith('// opentelemetry.ts\n'),
  );
  assert.equal(example.length, 1);
  await compile(folder, { 'opentelemetry.ts': example.join('') });
  // As an application's own setup does, before the example is loaded.
  assert.ok(trace.setGlobalTracerProvider(tracers));
  assert.ok(metrics.setGlobalMeterProvider(meters));
  await import(pathToFileURL(join(folder, 'opentelemetry.js')).href);
});

after(async () => {
  await meters.shutdown();
  await tracers.shutdown();
  await rm(folder, { recursive: true, force: true });
});

/** What the counters are at, by name and attributes. */
async function counts(): Promise<Record<string, number>> {
  points.reset();
  await meters.forceFlush();
  const values: Record<string, number> = {};
  for (const { scopeMetrics } of points.getMetrics()) {
    for (const { descriptor, dataPoints } of scopeMetrics.flatMap((scope) => scope.metrics)) {
      for (const { attributes, value } of dataPoints) {
        const labels = Object.values(attributes).map((label) => `/${String(label)}`);
        values[descriptor.name + labels.join('')] = Number(value);
      }
    }
  }
  return values;
}

async function spansUntil(count: number): Promise<ReadableSpan[]> {
  const waiting = async (): Promise<void> => {
    while (spans.getFinishedSpans().length < count) await nextTurn();
  };
  await within(() => `${count} spans, of ${spans.getFinishedSpans().length}`, waiting());
  return spans.getFinishedSpans();
}

test('the example of the documents makes spans of connections, and counts', async (t) => {
  const server = await startServer(t, {
    onError() {},
    routes: {
      '/': {
        protocols: ['chat'],
        message(peer, message) {
          if (message === 'throw') throw new Error('a handler of mine');
          peer.send(message);
        },
      },
    },
  });

  // One that goes well.
  const client = await dialTo(t, server.url, { protocols: ['chat'] });
  client.send('hello');
  for await (const message of client) {
    assert.equal(message, 'hello');
    break;
  }
  assert.equal((await counts())['aperto.connections'], 2);
  client.close(1000);
  for (const span of await spansUntil(2)) {
    assert.equal(span.name, 'websocket');
    assert.deepEqual(span.attributes, {
      'network.protocol.name': 'http/1.1',
      'client.address': '127.0.0.1',
      'websocket.subprotocol': 'chat',
      'websocket.close_code': 1000,
    });
    assert.equal(span.status.code, SpanStatusCode.UNSET);
    assert.equal(span.instrumentationScope.name, 'aperto');
  }
  spans.reset();

  // One whose handler throws: its side has the exception.
  const failing = await dialTo(t, server.url);
  failing.send('throw');
  await within('the end', failing.closed);
  const both = await spansUntil(2);
  assert.deepEqual(
    both.map(({ attributes }) => attributes['websocket.close_code']),
    [1011, 1011],
  );
  const events = both.flatMap((span) => span.events);
  assert.deepEqual(
    events.map(({ name, attributes }) => [name, attributes?.['exception.message']]),
    [['exception', 'a handler of mine']],
  );
  spans.reset();

  // One that is lost.
  const raw = await dial(server.port, false);
  raw.write(handshake());
  await raw.readHead();
  raw.socket.resetAndDestroy();
  const [lost] = await spansUntil(1);
  assert.equal(lost?.status.code, SpanStatusCode.ERROR);
  assert.match(lost.status.message ?? '', /without a close frame: it was reset/);

  // One that never was.
  await expectFailureCode(dialTo(t, `${server.url}/none`), 'STATUS_NOT_101');
  assert.deepEqual(await counts(), {
    'aperto.connections': 0,
    // Of both sides: three that were sent, one of them back.
    'aperto.messages/sent': 3,
    'aperto.messages/received': 3,
    'aperto.handshakes.refused/404/NO_ROUTE': 1,
    'aperto.errors': 1,
  });
});
