import type { RequestListener } from 'node:http';
import type { CompressionCount } from '../protocol/extensions/compression-counters.ts';
import type { ServerMetrics } from './server-metrics.ts';

/** https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Answers with a server's metrics in the text format of Prometheus. It looks at no path: call it for the one that is
 * scraped.
 */
export function prometheusHandler(server: { metrics(): ServerMetrics }): RequestListener {
  return (_request, response) => {
    response.writeHead(200, { 'Content-Type': CONTENT_TYPE });
    response.end(prometheusText(server.metrics()));
  };
}

type Sample = readonly [labels: string, value: number];

function prometheusText({ connections, messages, bytes, ...rest }: ServerMetrics): string {
  const { gaps, errors, compression } = rest;
  const { deflated, inflated } = compression;
  const byDirection = (of: (count: CompressionCount) => number): Sample[] => [
    ['{direction="deflated"}', of(deflated)],
    ['{direction="inflated"}', of(inflated)],
  ];
  return [
    family('connections', 'gauge', 'Connections that are there now.', [['', connections.open]]),
    counter('connections_opened', 'Connections that were opened.', connections.opened),
    family(
      'handshakes_refused_total',
      'counter',
      'Opening handshakes that were not granted.',
      labelled('reason', connections.refused),
    ),
    family(
      'connections_closed_total',
      'counter',
      'Connections that have ended, by close code.',
      labelled('code', connections.closed),
    ),
    counter('messages_received', 'Messages from peers.', messages.received),
    counter('messages_sent', 'Messages handed to connections.', messages.sent),
    counter('messages_dropped', 'Messages to slow peers that were dropped.', messages.dropped),
    counter(
      'messages_unpublished',
      'Published messages that may not have reached other servers.',
      messages.unpublished,
    ),
    counter('bytes_received', 'Bytes from peers, frame headers included.', bytes.received),
    counter('bytes_sent', 'Bytes to peers, frame headers included.', bytes.sent),
    counter('gaps', 'Times that messages of other servers may have been lost.', gaps),
    counter('errors', 'Handlers that threw, and other errors nobody asked for.', errors),
    family(
      'compression_messages_total',
      'counter',
      'Messages compressed and inflated.',
      byDirection(({ messages: count }) => count),
    ),
    family(
      'compression_bytes_in_total',
      'counter',
      'Bytes of payload before.',
      byDirection(({ bytesIn }) => bytesIn),
    ),
    family(
      'compression_bytes_out_total',
      'counter',
      'Bytes of payload after.',
      byDirection(({ bytesOut }) => bytesOut),
    ),
    family(
      'compression_seconds_total',
      'counter',
      'Time that it took.',
      byDirection(({ milliseconds }) => milliseconds / 1000),
    ),
  ].join('');
}

function counter(name: string, help: string, value: number): string {
  return family(`${name}_total`, 'counter', help, [['', value]]);
}

function family(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  samples: readonly Sample[],
): string {
  const lines = samples.map(([labels, value]) => `aperto_${name}${labels} ${value}\n`);
  return `# HELP aperto_${name} ${help}\n# TYPE aperto_${name} ${type}\n${lines.join('')}`;
}

/** The kinds are our own: codes, and `status 401`. None needs escaping. */
function labelled(label: string, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([kind, value]) => [`{${label}="${kind}"}`, value]);
}
