import type { Message } from '../index.ts';

/** What happens on a connection. */
export type Happening =
  | {
      readonly event: 'open';
      readonly url: string;
      readonly protocol: string;
      readonly extensions: string;
    }
  | { readonly event: 'message'; readonly data: Message }
  | { readonly event: 'ping' | 'pong'; readonly payload: Uint8Array }
  | { readonly event: 'close'; readonly code: number; readonly reason: string };

export interface TranscriptOptions {
  /** One JSON object a line. */
  readonly json: boolean;
  /** Whether a person watches: events besides messages are told too, and control characters are shown. */
  readonly terminal: boolean;
  readonly color: boolean;
}

/** The line that tells of a happening; undefined where it is not told. */
export function transcriptLine(
  happening: Happening,
  { json, terminal, color }: TranscriptOptions,
): string | undefined {
  if (json) return escapeJson(JSON.stringify(jsonOf(happening)));
  if (happening.event === 'message') return messageText(happening.data, terminal);
  if (!terminal) return undefined;
  const text = visible(eventText(happening));
  return color ? `\u001b[2m${text}\u001b[22m` : text;
}

function jsonOf(happening: Happening): Record<string, unknown> {
  switch (happening.event) {
    case 'message':
      return typeof happening.data === 'string'
        ? { event: 'message', data: happening.data }
        : { event: 'message', base64: Buffer.from(happening.data).toString('base64') };
    case 'ping':
    case 'pong':
      return { event: happening.event, base64: Buffer.from(happening.payload).toString('base64') };
    default:
      return { ...happening };
  }
}

function messageText(data: Message, terminal: boolean): string {
  if (typeof data === 'string') return terminal ? visible(data) : data;
  return `<${data.length} bytes: ${Buffer.from(data).toString('hex')}>`;
}

function eventText(happening: Exclude<Happening, { event: 'message' }>): string {
  switch (happening.event) {
    case 'open':
      return [
        `connected to ${happening.url}`,
        ...(happening.protocol === '' ? [] : [`subprotocol ${happening.protocol}`]),
        ...(happening.extensions === '' ? [] : [happening.extensions]),
      ].join(', ');
    case 'close':
      return `closed with ${happening.code}${happening.reason === '' ? '' : `: ${happening.reason}`}`;
    default:
      return `${happening.event} ${Buffer.from(happening.payload).toString('utf8')}`;
  }
}

/** What drives a terminal or reorders its text. */
const unsafe = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** JSON.stringify escapes the first 32 control characters; this escapes the others. */
function escapeJson(json: string): string {
  return json.replace(unsafe, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

/** The text with control characters written out: what a peer says must not drive the terminal. */
export function visible(text: string): string {
  return text.replace(unsafe, (character) => {
    if (character === '\n' || character === '\t') return character;
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
