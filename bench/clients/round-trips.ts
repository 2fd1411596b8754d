import { setTimeout as sleep } from 'node:timers/promises';
import { asked, Meter, tell } from '../measured-program.ts';

type Send = (text: string) => void;
/** Connects to an echo server; the function that it resolves to sends. */
export type Open = (url: string, onText: (text: string) => void) => Promise<Send>;

/** Texts that go round, so that one that comes out of turn is noticed. */
const TEXTS = 1009;

/** Keeps messages in flight on one connection: for each text that comes back the next is sent. */
export async function measureRoundTrips(open: Open): Promise<void> {
  const { what: url, size, inFlight, durationMs, warmUpMs } = asked();
  const texts = Array.from({ length: TEXTS }, (_, index) => `${index} `.padEnd(size, '.'));
  const meter = new Meter();
  let sent = 0;
  let received = 0;
  const sendNext = (): void => send(texts[sent++ % TEXTS] ?? '');
  const send = await open(url, (text) => {
    if (text !== texts[received++ % TEXTS]) meter.wrong++;
    meter.messages++;
    sendNext();
  });
  while (sent < inFlight) sendNext();
  await sleep(warmUpMs);
  meter.start();
  await sleep(durationMs);
  tell(meter.read());
}

/** A connection that is lost while it is measured ends the program. */
export function lost(): never {
  console.error('the connection was lost');
  process.exit(1);
}
