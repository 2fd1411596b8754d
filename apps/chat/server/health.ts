import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHealth } from 'aperto';

/**
 * Answers `/health`, how this process is, and `/ready`, whether to send it visitors: both with 200 or, once it is
 * closing, with 503. False for other paths.
 */
export function answerHealth(
  request: IncomingMessage,
  response: ServerResponse,
  health: ServerHealth,
): boolean {
  const path = (request.url ?? '/').split('?', 1)[0];
  const isAsked = path === '/health' || path === '/ready';
  if (!isAsked || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
  const isHealth = path === '/health';
  const body = isHealth
    ? `${JSON.stringify(health)}\n`
    : health.ready
      ? 'ready\n'
      : 'not ready: closing\n';
  response.writeHead(health.ready ? 200 : 503, {
    'Content-Type': isHealth ? 'application/json' : 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  // Node sends no body in answer to HEAD.
  response.end(body);
  return true;
}
