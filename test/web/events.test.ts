import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apertoError } from '../../dist/protocol/errors.js';
import {
  CloseEvent,
  closeEvent,
  errorEvent,
  messageEvent,
  openEvent,
} from '../../dist/web/events.js';

test('events are of the kinds of the runtime, and trusted', () => {
  const events = [
    openEvent(),
    messageEvent('x', 'ws://example.com'),
    errorEvent(undefined),
    closeEvent(true, 1000, ''),
  ];
  assert.deepEqual(
    events.map(({ type }) => type),
    ['open', 'message', 'error', 'close'],
  );
  for (const event of events) {
    assert.ok(event instanceof Event);
    assert.equal(event.isTrusted, true);
    assert.equal(event.bubbles || event.cancelable, false);
  }
  assert.ok(events[1] instanceof MessageEvent);
  assert.ok(events[3] instanceof CloseEvent);
});

test('where nobody can forge trust, they are events all the same', (t) => {
  class Unforgeable extends Event {
    constructor(type: string, init?: ConstructorParameters<typeof Event>[1]) {
      super(type, init);
      Object.defineProperty(this, 'isTrusted', { get: () => false, configurable: false });
    }
  }
  const own = globalThis.Event;
  t.after(() => {
    globalThis.Event = own;
  });
  globalThis.Event = Unforgeable;
  const event = openEvent();
  assert.ok(event instanceof Unforgeable);
  assert.deepEqual([event.type, event.isTrusted], ['open', false]);
});

test('an error event may know its error', () => {
  const error = apertoError('CONNECT_FAILED');
  assert.equal(errorEvent(error).error, error);
  assert.equal(errorEvent(undefined).error, undefined);
});

test('a close event made by hand', () => {
  const empty = new CloseEvent('close');
  assert.deepEqual([empty.wasClean, empty.code, empty.reason], [false, 0, '']);
  const full = new CloseEvent('close', {
    wasClean: true,
    code: 4000,
    reason: 'bye',
    cancelable: true,
  });
  assert.deepEqual([full.wasClean, full.code, full.reason], [true, 4000, 'bye']);
  assert.equal(full.cancelable, true);
  assert.equal(full.isTrusted, false);
  assert.equal(CloseEvent.name, 'CloseEvent');
  assert.equal(String(full), '[object CloseEvent]');
});
