import { Connection } from './connection.ts';
import { type Joined, normalise, type Said } from './messages.ts';
import { Outbox } from './outbox.ts';
import { browserStore } from './storage.ts';
import { element, Log, Members, showPanel, showState } from './view.ts';

/** Wires the form, the composer and the log to the connection. */

const mostTextBytes = 4096;
const mostNameCharacters = 32;
const mostRoomCharacters = 64;

const forEver = browserStore(() => localStorage);
const forThisWindow = browserStore(() => sessionStorage);

const form = element('join-form', HTMLFormElement);
const nameField = element('name', HTMLInputElement);
const roomField = element('room', HTMLInputElement);
const problem = element('problem', HTMLElement);
const composer = element('composer', HTMLFormElement);
const text = element('text', HTMLTextAreaElement);
const send = element('send', HTMLButtonElement);
const hint = element('hint', HTMLElement);
const title = element('title', HTMLElement);
const toggle = element('toggle', HTMLButtonElement);
const usualHint = hint.textContent ?? '';

const log = new Log();
const members = new Members();
const outbox = new Outbox(forThisWindow);

let room = '';
let name = '';
let unread = 0;

const connection = new Connection(
  `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/chat`,
  outbox,
  {
    state: showState,
    joined,
    said(message) {
      log.said(message, outbox.isOwn(message.id));
      if (!document.hidden || outbox.isOwn(message.id)) return;
      unread += 1;
      showTitle();
    },
    presence({ joined: came, left: went }) {
      if (came !== undefined) {
        members.add(came);
        log.notice(`${came} joined`);
      }
      if (went !== undefined) {
        members.remove(went);
        log.notice(`${went} left`);
      }
    },
    missed: ({ history }) => showHistory(history, 'The server has lost something'),
    notSaid({ id, room: its }, why) {
      if (its === room) log.failed(id, why);
    },
    notJoined(refused) {
      const field = refused.code === 'bad-name' ? nameField : roomField;
      complain(field, `The server refused: ${refused.message}.`);
    },
  },
);

function joined(message: Joined): void {
  name = message.name;
  members.set(message.members, name);
  // After a reconnection most of the history is shown already. Where none of it is, what is shown and
  // what comes now may not meet.
  const { history } = message;
  const meets = history.length === 0 || history.some(({ id }) => log.has(id));
  showHistory(history, !meets && log.hasSaid ? 'You were away' : undefined);
}

function showHistory(history: readonly Said[], why: string | undefined): void {
  log.quietly(() => {
    if (why !== undefined) log.notice(`${why}; some messages may be missing here`);
    for (const said of history) {
      log.said(said, outbox.isOwn(said.id));
      // In the history: so it was said, though the acknowledgement was lost.
      outbox.settle(said.id);
    }
  });
}

function enter(newName: string, newRoom: string): void {
  name = newName;
  nameField.value = newName;
  roomField.value = newRoom;
  if (newRoom !== room) {
    room = newRoom;
    log.clear();
    members.set([], name);
    for (const pending of outbox.of(room)) log.pending(pending, name);
  }
  forEver.write('name', name);
  forEver.write('room', room);
  forThisWindow.write('name', name);
  const url = new URL(location.href);
  url.searchParams.set('room', room);
  history.replaceState(null, '', url);

  document.body.dataset['room'] = room;
  title.textContent = room;
  unread = 0;
  showTitle();
  text.disabled = false;
  send.disabled = false;
  text.placeholder = `Message to ${room}`;
  showPanel(false);
  // On a phone the focus would bring up the keyboard over the messages.
  if (matchMedia('(pointer: fine)').matches) text.focus();
  else element('log', HTMLElement).focus();
  connection.enter(room, name);
}

function complain(field: HTMLInputElement, sentence: string): void {
  problem.textContent = sentence;
  field.ariaInvalid = 'true';
  showPanel(true);
  field.focus();
  field.select();
}

function problemOf(label: string, what: string, most: number): string | undefined {
  if (label === '') return `Please give a ${what}.`;
  if ([...label].length > most) return `A ${what} has at most ${most} characters.`;
  return undefined;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const newName = normalise(nameField.value);
  const newRoom = normalise(roomField.value) || 'lobby';
  problem.textContent = '';
  nameField.ariaInvalid = null;
  roomField.ariaInvalid = null;

  let wrong = problemOf(newName, 'name', mostNameCharacters);
  if (newName.includes(':')) wrong ??= 'A name has no colon.';
  if (/^[*/]/.test(newName)) wrong ??= 'A name does not begin with * or /.';
  if (wrong !== undefined) {
    complain(nameField, wrong);
    return;
  }
  wrong = problemOf(newRoom, 'room name', mostRoomCharacters);
  if (wrong !== undefined) {
    complain(roomField, wrong);
    return;
  }
  enter(newName, newRoom);
});

composer.addEventListener('submit', (event) => {
  event.preventDefault();
  const written = text.value.trimEnd();
  if (written.trim() === '' || room === '' || !fits(written)) {
    text.focus();
    return;
  }
  log.pending(outbox.add(room, written, Date.now()), name);
  text.value = '';
  textChanged();
  text.focus();
  connection.flush();
});

text.addEventListener('keydown', (event) => {
  // While an input method composes, Enter is part of it.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

text.addEventListener('input', textChanged);

/** What stands in the field grows with it, survives a reload, and says when it is too long. */
function textChanged(): void {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight + 2}px`;
  forThisWindow.write('draft', text.value === '' ? undefined : text.value);
  fits(text.value.trimEnd());
}

function fits(written: string): boolean {
  const over = new TextEncoder().encode(written).length - mostTextBytes;
  text.ariaInvalid = over > 0 ? 'true' : null;
  hint.textContent = over > 0 ? `Too long by ${over} bytes.` : usualHint;
  return over <= 0;
}

function showTitle(): void {
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${room === '' ? '' : `${room} – `}Aperto chat`;
}

toggle.addEventListener('click', () => {
  showPanel(document.body.dataset['panel'] !== 'open');
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || room === '' || document.body.dataset['panel'] !== 'open') return;
  showPanel(false);
  if (toggle.offsetParent !== null) toggle.focus();
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  unread = 0;
  showTitle();
  connection.wake();
});

const rememberedName = forThisWindow.read('name');
nameField.value = rememberedName ?? forEver.read('name') ?? '';
roomField.value =
  new URLSearchParams(location.search).get('room') || forEver.read('room') || 'lobby';
text.value = forThisWindow.read('draft') ?? '';
textChanged();
// A reload goes back in; a new window asks first, as one may want another name there.
if (rememberedName !== undefined) form.requestSubmit();
else nameField.focus();
