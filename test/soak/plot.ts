import type { Run, Sample } from './samples.ts';

const WIDTH = 880;
const LEFT = 72;
const RIGHT = 32;
/** More than a letter of the key takes, in any font. */
const LETTER = 7;
const PANEL = 120;
const GAP = 58;
const TOP = 64;
/** Points of a line, at most. */
const MOST_POINTS = 400;

interface Line {
  readonly name: string;
  /** 1 or 2: which of the colours. */
  readonly colour: 1 | 2;
  measure(sample: Sample): number;
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** What stands for the samples of one point: all that matters of a delay is the worst. */
  readonly by: 'mean' | 'most';
}

const MIB = 1024 * 1024;
const panels: readonly Panel[] = [
  {
    title: 'Connections',
    by: 'mean',
    lines: [{ name: 'open', colour: 1, measure: ({ server }) => server.peers }],
  },
  {
    title: "Server's memory, MiB",
    by: 'mean',
    lines: [
      { name: 'RSS', colour: 1, measure: ({ server }) => server.rss / MIB },
      { name: 'heap used', colour: 2, measure: ({ server }) => server.heapUsed / MIB },
    ],
  },
  {
    title: "Server's event-loop delay, ms",
    by: 'most',
    lines: [
      { name: 'median', colour: 1, measure: ({ server }) => server.delay.p50 },
      { name: '99th percentile', colour: 2, measure: ({ server }) => server.delay.p99 },
    ],
  },
  {
    title: 'Messages lost so far',
    by: 'most',
    lines: [
      { name: 'without a word', colour: 1, measure: ({ load }) => load.lost },
      {
        name: 'announced, as the engine was killed',
        colour: 2,
        measure: ({ load }) => load.announced,
      },
    ],
  },
];

/** Draws a run. */
export function drawRun({ start, samples }: Run): string {
  const height = TOP + panels.length * (PANEL + GAP);
  const { connections, durationMs } = start.plan;
  const title = `${connections.toLocaleString('en')} members for ${durationText(durationMs)}`;
  const most = Math.max(durationMs, samples.at(-1)?.at ?? 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}"/>`,
    `<text class="title" x="${LEFT}" y="28">A soak: ${title}</text>`,
    ...panels.map((panel, index) => drawPanel(panel, samples, most, TOP + index * (PANEL + GAP))),
    '</svg>',
    '',
  ].join('\n');
}

const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #57534e }
.title { font-size: 16px; font-weight: 600; fill: #1c1917 }
.name { font-weight: 600; fill: #1c1917 }
.ground { fill: #ffffff }
.grid { stroke: #e7e5e4 }
path { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.line1 { stroke: #1d4ed8 } .line2 { stroke: #c2410c }
.key1 { fill: #1d4ed8 } .key2 { fill: #c2410c }
@media (prefers-color-scheme: dark) {
  text { fill: #a8a29e } .title, .name { fill: #f5f5f4 } .ground { fill: #1c1917 } .grid { stroke: #44403c }
  .line1 { stroke: #93c5fd } .line2 { stroke: #fdba74 } .key1 { fill: #93c5fd } .key2 { fill: #fdba74 }
}`;

function drawPanel(panel: Panel, samples: readonly Sample[], mostMs: number, top: number): string {
  const lines = panel.lines.map((line) => ({ ...line, points: pointsOf(samples, line, panel.by) }));
  const highest = Math.max(1, ...lines.flatMap(({ points }) => points.map(([, value]) => value)));
  const step = stepFor(highest, 3);
  const scale = Math.ceil(highest / step) * step;
  const x = (at: number): string => (LEFT + (at / mostMs) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (value: number): string => (top + PANEL * (1 - value / scale)).toFixed(1);
  const parts = [`<text class="name" x="${LEFT}" y="${top - 10}">${panel.title}</text>`];
  for (let value = 0; value <= scale; value += step) {
    parts.push(
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>`,
      `<text x="${LEFT - 8}" y="${Number(y(value)) + 4}" text-anchor="end">${value.toLocaleString('en')}</text>`,
    );
  }
  const minutes = stepFor(mostMs / 60_000, 6);
  for (let at = 0; at <= mostMs / 60_000; at += minutes) {
    const text = `${Number(at.toFixed(2))} min`;
    parts.push(
      `<text x="${x(at * 60_000)}" y="${top + PANEL + 18}" text-anchor="middle">${text}</text>`,
    );
  }
  let keyAt = WIDTH - RIGHT;
  for (const { name, colour, points } of lines.toReversed()) {
    const path = points.map(
      ([at, value], index) => `${index === 0 ? 'M' : 'L'}${x(at)} ${y(value)}`,
    );
    parts.push(`<path class="line${colour}" d="${path.join('')}"/>`);
    // Of one line the title says what it is.
    if (lines.length === 1) continue;
    keyAt -= name.length * LETTER;
    parts.push(
      `<rect class="key${colour}" x="${keyAt - 16}" y="${top - 19}" width="10" height="10" rx="2"/>`,
      `<text x="${keyAt}" y="${top - 10}">${name}</text>`,
    );
    keyAt -= 32;
  }
  return parts.join('\n');
}

function pointsOf(
  samples: readonly Sample[],
  { measure }: Line,
  by: Panel['by'],
): (readonly [number, number])[] {
  const size = Math.max(1, Math.ceil(samples.length / MOST_POINTS));
  const points: (readonly [number, number])[] = [];
  for (let from = 0; from < samples.length; from += size) {
    const some = samples.slice(from, from + size);
    const values = some.map(measure);
    const value =
      by === 'most'
        ? Math.max(...values)
        : values.reduce((sum, one) => sum + one, 0) / values.length;
    points.push([some[0]?.at ?? 0, value]);
  }
  return points;
}

/** A round step, of which about so many make up the whole. */
function stepFor(whole: number, steps: number): number {
  const power = 10 ** Math.floor(Math.log10(whole / steps));
  return (
    [1, 2, 5, 10].map((factor) => factor * power).find((step) => whole / step <= steps) ?? whole
  );
}

export function durationText(ms: number): string {
  if (ms >= 3_600_000) return `${Number((ms / 3_600_000).toFixed(2))} h`;
  return ms >= 60_000 ? `${Number((ms / 60_000).toFixed(1))} min` : `${Math.round(ms / 1000)} s`;
}
