import type { ConnectionState } from './connection.ts';
import type { Said } from './messages.ts';
import type { Pending } from './outbox.ts';

/** What is on the page. Whatever came from somebody is set as text, never as HTML. */

const mostEntries = 500;
const groupMs = 5 * 60_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat(undefined, {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
});
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

const states: Readonly<Record<ConnectionState, string>> = {
  connecting: 'Connecting…',
  open: 'Connected',
  waiting: 'Offline, trying again…',
};

/** The element of the page that has this id. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

function make(tag: string, className: string, text = ''): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** One of eight colours, the same for the same name. */
function colourOf(name: string): string {
  let sum = 7;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return `c${sum % 8}`;
}

/** The first letter of a name, in its colour; an ornament, and so not part of the text. */
function avatar(name: string): HTMLElement {
  const made = make('span', `avatar ${colourOf(name)}`);
  made.dataset['initial'] = [...name][0]?.toUpperCase() ?? '';
  made.ariaHidden = 'true';
  return made;
}

/** By which it is decided whether a message stands under the name above it. */
interface Shown {
  readonly from: string;
  readonly at: number;
  readonly own: boolean;
}

/** The messages and notices of the room: a bounded number, the latest in sight unless one scrolled up. */
export class Log {
  readonly #log: HTMLElement = element('log', HTMLElement);
  readonly #jump: HTMLElement = element('jump', HTMLElement);
  /** By id, for each message that is shown. */
  readonly #messages = new Map<string, HTMLElement>();
  #firstPending: HTMLElement | undefined;
  readonly #shown = new WeakMap<Element, Shown>();
  #day = '';
  #hasSaid = false;
  #atEnd = true;
  #scrolling = false;

  constructor() {
    this.#log.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#log;
      this.#atEnd = scrollHeight - scrollTop - clientHeight < 48;
      if (this.#atEnd) this.#jump.hidden = true;
    });
    // The log gets smaller where a keyboard comes up or the text grows: its end stays in sight.
    new ResizeObserver(() => this.#follow()).observe(this.#log);
    this.#jump.addEventListener('click', () => {
      this.#atEnd = true;
      this.#jump.hidden = true;
      this.#follow();
      this.#log.focus();
    });
  }

  clear(): void {
    this.#log.replaceChildren();
    this.#messages.clear();
    this.#firstPending = undefined;
    this.#day = '';
    this.#hasSaid = false;
    this.#atEnd = true;
    this.#jump.hidden = true;
  }

  has(id: string): boolean {
    return this.#messages.has(id);
  }

  /** Whether there is a message that was said, not only what is pending. */
  get hasSaid(): boolean {
    return this.#hasSaid;
  }

  /** Runs `fill` without a screen reader reading out all that it adds. */
  quietly(fill: () => void): void {
    this.#log.ariaLive = 'off';
    fill();
    // After the next frame the additions are history to a screen reader too.
    requestAnimationFrame(() => setTimeout(() => (this.#log.ariaLive = 'polite')));
  }

  /** Shows a message that was said. One of ours that was pending takes its place where it stands. */
  said(said: Said, own: boolean): void {
    this.#hasSaid = true;
    const pending = this.#messages.get(said.id);
    if (pending === undefined) {
      this.#add(said, own, this.#firstPending);
    } else if (pending.classList.contains('pending')) {
      // What others said before it stands above it, since all that is pending stays at the end.
      this.#unpend(pending);
      const time = pending.querySelector('time');
      if (time !== null) setTime(time, said.at);
    }
  }

  pending({ id, text, at }: Pending, name: string): void {
    const made = this.#add({ from: name, text, at, id }, true, undefined);
    made.classList.add('pending');
    made.append(make('span', 'status', 'not sent yet'));
    this.#firstPending ??= made;
    this.#atEnd = true;
    this.#follow();
  }

  failed(id: string, why: string): void {
    const shown = this.#messages.get(id);
    if (shown === undefined) return;
    this.#unpend(shown);
    shown.classList.add('failed');
    shown.append(make('span', 'status', `not sent: ${why}`));
  }

  notice(text: string): void {
    this.#log.insertBefore(make('div', 'notice', text), this.#firstPending ?? null);
    this.#grown();
  }

  /** Puts a message before an element of the log, or at the end. */
  #add(said: Said, own: boolean, before: HTMLElement | undefined): HTMLElement {
    const { from, text, at, id } = said;
    this.#newDay(at, before);
    const above = before === undefined ? this.#log.lastElementChild : before.previousElementSibling;
    const last = above === null ? undefined : this.#shown.get(above);
    const follows = last?.from === from && last.own === own && Math.abs(at - last.at) < groupMs;

    const made = make('div', `message${own ? ' own' : ''}${follows ? ' follows' : ''}`);
    made.dataset['id'] = id;
    const name = make('bdi', 'name', own ? 'You' : from);
    if (own) name.title = from;
    const time = document.createElement('time');
    setTime(time, at);
    const head = make('div', 'head');
    head.append(name, ' ', time);
    const body = make('p', 'text', text);
    body.dir = 'auto';
    made.append(avatar(from), head, body);

    this.#messages.set(id, made);
    this.#shown.set(made, { from, at, own });
    before?.classList.remove('follows');
    this.#log.insertBefore(made, before ?? null);
    this.#grown();
    return made;
  }

  /** A line with the day, where it is another than that of the messages above. */
  #newDay(at: number, before: HTMLElement | undefined): void {
    const day = new Date(at).toDateString();
    if (this.#day === day) return;
    this.#day = day;
    this.#log.insertBefore(make('div', 'day', calendar.format(at)), before ?? null);
  }

  #unpend(message: HTMLElement): void {
    message.classList.remove('pending');
    message.querySelector('.status')?.remove();
    if (message !== this.#firstPending) return;
    this.#firstPending = this.#log.querySelector<HTMLElement>('.pending') ?? undefined;
  }

  #grown(): void {
    while (this.#log.childElementCount > mostEntries) {
      const oldest = this.#log.firstElementChild;
      if (!(oldest instanceof HTMLElement) || oldest === this.#firstPending) break;
      if (oldest.dataset['id'] !== undefined) this.#messages.delete(oldest.dataset['id']);
      oldest.remove();
    }
    if (!this.#atEnd) this.#jump.hidden = false;
    this.#follow();
  }

  /** Scrolls to the end once a frame, however many messages came in it. */
  #follow(): void {
    if (this.#scrolling || !this.#atEnd) return;
    this.#scrolling = true;
    requestAnimationFrame(() => {
      this.#scrolling = false;
      this.#log.scrollTop = this.#log.scrollHeight;
    });
  }
}

function setTime(time: HTMLTimeElement, at: number): void {
  time.dateTime = new Date(at).toISOString();
  time.textContent = clock.format(at);
  time.title = full.format(at);
}

/** Who is in the room, by name. */
export class Members {
  readonly #list: HTMLElement = element('members', HTMLElement);
  readonly #count: HTMLElement = element('count', HTMLElement);
  readonly #toggleCount: HTMLElement = element('toggle-count', HTMLElement);
  #names = new Set<string>();
  #own = '';

  set(names: readonly string[], own: string): void {
    this.#names = new Set(names);
    this.#own = own;
    this.#show();
  }

  add(name: string): void {
    this.#names.add(name);
    this.#show();
  }

  remove(name: string): void {
    this.#names.delete(name);
    this.#show();
  }

  #show(): void {
    const names = [...this.#names].sort((a, b) => a.localeCompare(b));
    this.#list.replaceChildren(
      ...names.map((name) => {
        const item = make('li', '');
        item.append(avatar(name), make('bdi', 'name', name));
        if (name === this.#own) item.append(' ', make('span', 'you', 'you'));
        return item;
      }),
    );
    this.#count.textContent = String(names.length);
    this.#toggleCount.textContent = String(names.length);
  }
}

export function showState(state: ConnectionState): void {
  const shown = element('state', HTMLElement);
  if (shown.dataset['state'] === state && shown.textContent === states[state]) return;
  shown.dataset['state'] = state;
  shown.textContent = states[state];
}

/** The panel with the form and the members; on a narrow screen it covers the messages while open. */
export function showPanel(open: boolean): void {
  document.body.dataset['panel'] = open ? 'open' : 'closed';
  element('toggle', HTMLElement).ariaExpanded = String(open);
}
