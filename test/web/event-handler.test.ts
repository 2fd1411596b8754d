import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventHandler } from '../../dist/web/event-handler.js';

function makeHandler() {
  const target = new EventTarget();
  const handler = new EventHandler<object>(target, 'ping');
  const heard: unknown[] = [];
  const say = (word: string) => () => void heard.push(word);
  return { target, handler, heard, say, fire: () => target.dispatchEvent(new Event('ping')) };
}

test('a handler is called with the event, and the target as this', () => {
  const { target, handler, fire } = makeHandler();
  const calls: unknown[] = [];
  handler.value = function (this: unknown, event: Event) {
    calls.push(this, event.type);
    return false;
  };
  assert.equal(fire(), true);
  assert.deepEqual(calls, [target, 'ping']);
});

test('it has its turn from when one was first set, until it is set to null', () => {
  const { target, handler, heard, say, fire } = makeHandler();
  handler.value = say('first');
  target.addEventListener('ping', say('listener'));
  handler.value = say('second');
  fire();
  assert.deepEqual(heard.splice(0), ['second', 'listener']);
  handler.value = null;
  fire();
  assert.deepEqual(heard.splice(0), ['listener']);
  handler.value = say('third');
  fire();
  assert.deepEqual(heard, ['listener', 'third']);
});

test('what is no function does nothing, what is no object is null', () => {
  const { handler, fire } = makeHandler();
  const thing = {};
  handler.value = thing;
  assert.equal(handler.value, thing);
  fire();
  for (const other of ['text', 1, undefined]) {
    Reflect.set(handler, 'value', other);
    assert.equal(handler.value, null);
  }
});
