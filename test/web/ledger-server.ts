/**
 * A program: a server that writes each message into a ledger before it acknowledges it. Listens on the port that it
 * is told of on standard input, so that it can be ready before the one that it follows is killed.
 */
import { openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { serve } from '../../dist/index.js';

const [path = ''] = process.argv.slice(2);
const ledger = openSync(path, 'a');
console.log('ready');
for await (const port of createInterface(process.stdin)) {
  let connections = 0;
  const server = await serve<string>({
    port: Number(port),
    routes: {
      '/': {
        upgrade() {
          connections += 1;
          return `${process.pid}.${connections}`;
        },
        message(peer, data) {
          writeSync(ledger, `${peer.data} ${data}\n`);
          peer.send(data);
        },
      },
    },
  });
  console.log(server.port);
}
