import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';

const types = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const;

// `index.html` and the like stand beside the page's sources, of which the bundler made one script.
const written = new URL('../../page/', import.meta.url);
const bundled = new URL('../bundle/', import.meta.url);

/** Everything that is served. A path that is not in the table does not exist. */
const table: ReadonlyArray<readonly [path: string, file: URL, type: string]> = [
  ['/', new URL('index.html', written), types.html],
  ['/style.css', new URL('style.css', written), types.css],
  ['/icon.svg', new URL('icon.svg', written), types.svg],
  ['/main.js', new URL('main.js', bundled), types.js],
];

// 'self' covers ws: and wss: of the same host and port (CSP 3, 6.7.2.8).
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const everywhere = {
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

interface StaticFile {
  readonly type: string;
  readonly body: Uint8Array;
  readonly etag: string;
}

/** Answers requests for the page from memory. */
export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>;

  constructor(files: ReadonlyMap<string, StaticFile>) {
    this.#files = files;
  }

  /** Reads the page's files. Rejects where one is missing, as when nothing was built. */
  static async load(): Promise<StaticFiles> {
    const files = await Promise.all(
      table.map(async ([path, file, type]): Promise<[string, StaticFile]> => {
        const body = await readFile(file);
        const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22);
        return [path, { type, body, etag: `"${digest}"` }];
      }),
    );
    return new StaticFiles(new Map(files));
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      refuse(response, 405, 'Only GET and HEAD are answered here.', { Allow: 'GET, HEAD' });
      return;
    }
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path === '/chat') {
      // RFC 9110 15.5.22: a 426 names the protocol in Upgrade.
      const upgrade = { Upgrade: 'websocket', Connection: 'Upgrade' };
      refuse(response, 426, 'This address speaks WebSocket: chat, superchat.', upgrade);
      return;
    }
    const file = this.#files.get(path);
    if (file === undefined) {
      refuse(response, 404, 'There is nothing here. The chat is at /.');
      return;
    }
    // no-cache: keep it, but ask each time whether it is still the same.
    const headers = { ...everywhere, ETag: file.etag, 'Cache-Control': 'no-cache' };
    if (matches(request.headers['if-none-match'], file.etag)) {
      response.writeHead(304, headers).end();
      return;
    }
    response.writeHead(200, {
      ...headers,
      'Content-Type': file.type,
      'Content-Length': file.body.byteLength,
    });
    // Node sends no body in answer to HEAD.
    response.end(file.body);
  }
}

function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  // RFC 9110 13.1.2: the weak comparison.
  return ifNoneMatch.split(',').some((tag) => {
    const given = tag.trim();
    return given === '*' || given.replace(/^W\//, '') === etag;
  });
}

function refuse(
  response: ServerResponse,
  status: number,
  sentence: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...everywhere,
    ...headers,
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': sentence.length + 1,
  });
  response.end(`${sentence}\n`);
}
