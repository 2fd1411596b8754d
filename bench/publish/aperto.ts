// Publishes in memory. Asked how many subscribers the topic has, and, as what is in flight, how many messages go in a tick.

import { createServer } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { attach, type Broker } from 'aperto';
import { asked, Meter, tell } from '../measured-program.ts';
import { BROKER } from '../servers/control.ts';

const TOPIC = 'everyone';
/** Ticks of a turn of the event loop, so that there is more than turns to measure. */
const TICKS_A_TURN = 256;

/** An engine that takes everything, and brings nothing. */
const taken = Promise.resolve();
const broker: Broker = {
  async start(host) {
    host.up();
  },
  subscribe: () => taken,
  unsubscribe: () => taken,
  publish: () => taken,
  close: () => taken,
};

const { what, size, inFlight: inTick, durationMs, warmUpMs } = asked();
const server = attach(createServer(), {
  ...(process.env[BROKER] === undefined ? {} : { broker }),
  routes: {},
});
await server.started;
const text = 'aperto '.repeat(size).slice(0, size);
const meter = new Meter();
let published = 0;
let received = 0;
if (what === '1') {
  server.subscribe(TOPIC, {
    message(data) {
      received++;
      if (data !== text) meter.wrong++;
    },
  });
}
await repeat(warmUpMs);
meter.start();
await repeat(durationMs);
const result = meter.read();
await turn();
const missing = what === '1' ? published - received : 0;
tell({ ...result, wrong: result.wrong + missing });

async function repeat(ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    await new Promise<void>((done) => publishTicks(TICKS_A_TURN, done));
    meter.messages += TICKS_A_TURN * inTick;
    await turn();
  }
}

/** What is published in a tick is delivered at its end, before the next one. */
function publishTicks(ticks: number, done: () => void): void {
  if (ticks === 0) {
    done();
    return;
  }
  for (let sent = 0; sent < inTick; sent++) {
    published++;
    if (!server.publish(TOPIC, text)) meter.wrong++;
  }
  process.nextTick(publishTicks, ticks - 1, done);
}
