import { durationText } from './plot.ts';
import { type Run, total, type Verdict } from './samples.ts';
import { inMib, judge } from './verdict.ts';

/** A run as Markdown, for docs/reliability.md. */
export function describeRun(run: Run): string {
  const { start, samples } = run;
  const { plan } = start;
  const held = samples.filter(({ at }) => at <= plan.durationMs);
  const last = samples.at(-1);
  if (last === undefined) return describeVerdict(judge(run));
  const { server, load, publisher, halfOpen } = last;
  const values = (of: (sample: (typeof samples)[number]) => number): number[] =>
    held.map(of).sort((a, b) => a - b);
  const rss = values((sample) => sample.server.rss);
  const p99 = values((sample) => sample.server.delay.p99);
  const peers = values((sample) => sample.server.peers);
  const firstCpu = samples[0]?.server.cpuMs ?? 0;
  const cpu = (server.cpuMs - firstCpu) / Math.max(1, last.at - (samples[0]?.at ?? 0));
  const rows: readonly (readonly [string, string])[] = [
    ['started', `${start.startedAt.slice(0, 16).replace('T', ' ')} UTC, seed ${plan.seed}`],
    ['machine', start.machine],
    ['duration', durationText(plan.durationMs)],
    ['connections at a time', `${whole(quantile(peers, 0.5))} (most ${whole(quantile(peers, 1))})`],
    ['connections opened', whole(server.opened)],
    ['left', counts(load.left)],
    ['messages taken by the server', whole(server.received)],
    ['messages of topics received, and checked', whole(load.received)],
    ['lost without a word', whole(load.lost)],
    ['twice or too late', whole(load.repeated)],
    [
      'lost and announced, as the engine was killed',
      `${whole(load.announced)} (${whole(load.gaps)} announcements)`,
    ],
    ['dropped by policy for slow readers', whole(server.dropped)],
    ['closed as too slow (1013)', whole(server.ends['close SEND_BUFFER_FULL'] ?? 0)],
    ['echoes', whole(load.echoes)],
    ['malformed connections, all ended as they must be', whole(load.malformed)],
    ['handshakes never finished, all ended', whole(load.unfinished)],
    [
      `half-open peers found (${start.halfOpenBy})`,
      `${halfOpen.found} of ${halfOpen.cutOff}, the slowest after ${(halfOpen.slowestMs / 1000).toFixed(1)} s`,
    ],
    [
      'engine killed and restarted',
      publisher === undefined ? 'not run' : `${last.engineRestarts} times`,
    ],
    [
      "server's RSS",
      `median ${inMib(quantile(rss, 0.5))}, most ${inMib(quantile(rss, 1))}, last ${inMib(rssAtEnd(run))}`,
    ],
    ["server's CPU", `${(cpu * 100).toFixed(0)}% of a core`],
    [
      'event-loop delay, 99th percentile of a second',
      `median ${quantile(p99, 0.5).toFixed(1)} ms, 99% of seconds below ${quantile(p99, 0.99).toFixed(1)} ms`,
    ],
    [
      'longest event-loop delay',
      `${Math.max(...held.map((sample) => sample.server.delay.max)).toFixed(0)} ms`,
    ],
    ['errors told to the server', total(server.errors) === 0 ? 'none' : counts(server.errors)],
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${value} |`).join('\n');
  const notRun = start.notRun.map((what) => `Not run: ${what}.\n`).join('');
  return `| | |\n| --- | --- |\n${table}\n\n${notRun}${describeVerdict(judge(run))}`;
}

function describeVerdict({ good, checks }: Verdict): string {
  const lines = checks.map(
    (check) =>
      `- ${check.good ? 'good' : 'BAD'}: ${check.name}${check.detail && `: ${check.detail}`}`,
  );
  return `Verdict: ${good ? 'good' : 'BAD'}\n\n${lines.join('\n')}`;
}

function rssAtEnd({ samples, start }: Run): number {
  return samples.findLast(({ at }) => at <= start.plan.durationMs)?.server.rss ?? 0;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function counts(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${whole(value)}`)
    .join(', ');
}
