import type { Target } from './target.ts';
import { client } from './targets/client.ts';
import { clientHandshake } from './targets/client-handshake.ts';
import { connection } from './targets/connection.ts';
import { envelope } from './targets/envelope.ts';
import { extensions } from './targets/extensions.ts';
import { frameParser } from './targets/frame-parser.ts';
import { http2 } from './targets/http2.ts';
import { inflater } from './targets/inflater.ts';
import { server } from './targets/server.ts';
import { serverHandshake } from './targets/server-handshake.ts';
import { utf8Validator } from './targets/utf8-validator.ts';
import { ws } from './targets/ws.ts';

/** Node 20 and 22 themselves abort on some of what it sends, with any server of node:http2 (docs/security.md). */
const http2Targets = Number.parseInt(process.versions.node, 10) >= 24 ? [http2] : [];

export const targets: readonly Target[] = [
  frameParser,
  serverHandshake,
  clientHandshake,
  extensions,
  utf8Validator,
  inflater,
  envelope,
  connection,
  server,
  client,
  ...http2Targets,
  ws,
];
