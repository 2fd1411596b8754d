import { test } from 'node:test';

/** What WebSocket runs over in a test: HTTP/1.1 in cleartext and in TLS, HTTP/2 in cleartext (h2c) and in TLS (h2). */
export type Transport = 'TCP' | 'TLS' | 'h2c' | 'h2';

/** TCP first: where something is wrong on all of them, its failure is read first. */
export const transports: readonly Transport[] = ['TCP', 'TLS', 'h2c', 'h2'];

export function isEncrypted(over: Transport): boolean {
  return over === 'TLS' || over === 'h2';
}

export function isHttp2(over: Transport): boolean {
  return over === 'h2c' || over === 'h2';
}

/** The test over each of these; over TCP, which is read into the shared buffer, under the bare name. */
export function testOver(
  which: readonly Transport[],
  name: string,
  run: (over: Transport) => Promise<void>,
): void {
  for (const over of which) test(over === 'TCP' ? name : `${name} (${over})`, () => run(over));
}

/** What is the same whatever carries the frames. */
export function testOverAll(name: string, run: (over: Transport) => Promise<void>): void {
  testOver(transports, name, run);
}

/** What HTTP/2 has in another way, or not at all. */
export function testOverHttp1(name: string, run: (over: Transport) => Promise<void>): void {
  testOver(['TCP', 'TLS'], name, run);
}
