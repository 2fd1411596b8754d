import { Buffer } from 'node:buffer';
import type { ChatLimits } from './limits.ts';

/** Something a visitor sent, as the chat will use it, or the sentence that says what is wrong with it. */
export type Checked =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly problem: string; readonly tooLong?: boolean };

// Controls, invisible formatting (which could turn the text around it backwards), lone surrogates and
// line separators. The two joiners stay: Persian and many emoji are spelled with them.
const unfit = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const visible = /[\p{L}\p{N}\p{P}\p{S}]/u;
const spaces = /\p{Zs}+/gu;
const lineBreak = /\r\n?|[\v\f\u0085\u2028\u2029]/g;
// Every control character but line feed and tab, and surrogates without a partner.
const unprintable = /[^\n\t\P{Cc}]|\p{Cs}/gu;

function checkLabel(what: string, given: string, most: number): Checked {
  const value = given.normalize('NFC').replace(spaces, ' ').trim();
  const length = [...value].length;
  if (length === 0 || length > most) {
    return { ok: false, problem: `a ${what} has 1 to ${most} characters` };
  }
  if (unfit.test(value)) {
    return { ok: false, problem: `a ${what} has no control or invisible characters` };
  }
  if (!visible.test(value)) {
    return { ok: false, problem: `a ${what} has at least one visible character` };
  }
  return { ok: true, value };
}

/**
 * A name: NFC, trimmed, runs of spaces made one. It has no colon and does not begin with `*` or `/`,
 * so that in `NAME: line` the first colon ends the name and no line can pass for a notice.
 */
export function checkName(given: string, limits: ChatLimits): Checked {
  const checked = checkLabel('name', given, limits.nameCharacters);
  if (!checked.ok) return checked;
  if (checked.value.includes(':')) return { ok: false, problem: 'a name has no colon' };
  if (/^[*/]/.test(checked.value)) {
    return { ok: false, problem: 'a name does not begin with * or /' };
  }
  return checked;
}

/** A room's name: NFC, trimmed, runs of spaces made one. Case counts. */
export function checkRoom(given: string, limits: ChatLimits): Checked {
  return checkLabel('room name', given, limits.roomCharacters);
}

/**
 * The text of a message. Line breaks of every kind become line feeds; other control characters, which
 * could steer a terminal, become U+FFFD. Nothing that was typed is dropped.
 */
export function checkText(given: string, limits: ChatLimits): Checked {
  const value = given.replace(lineBreak, '\n').replace(unprintable, '\ufffd');
  if (Buffer.byteLength(value) > limits.textBytes) {
    const problem = `a text has at most ${limits.textBytes} bytes of UTF-8`;
    return { ok: false, problem, tooLong: true };
  }
  if (value.trim() === '') return { ok: false, problem: 'a text is not empty' };
  return { ok: true, value };
}

/** Whether a client may know a message by this id: 1 to 64 printable ASCII characters, no space. */
export function isMessageId(id: string): boolean {
  return /^[\x21-\x7e]{1,64}$/.test(id);
}
