import { type ClientRequest, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { apertoError } from '../../protocol/errors.ts';
import { requestFields } from '../../protocol/handshake/client-handshake.ts';
import { type Answer, answerTo } from './answer.ts';
import type { Attempt } from './attempt.ts';
import { connectError } from './connect-error.ts';
import type { DialPlan } from './dial-plan.ts';
import { openSocket, serverNameOf, withContext } from './open-socket.ts';
import type { HttpProxy } from './proxy.ts';
import type { Hop } from './redirects.ts';
import { openTunnel } from './tunnel.ts';

/**
 * Sends the request of the opening handshake, over a connection of its own or one that the agent makes, and
 * waits for the head of the answer. Where it fails, or `attempt` is given up first, nothing is left of the connection.
 * @param ready a connection to the server that is open already, in place of a new one.
 * @throws {ApertoError} as `openTunnel` and `answerTo`. Why the attempt was given up.
 */
export async function ask(
  plan: DialPlan,
  hop: Hop,
  proxy: HttpProxy | undefined,
  key: string,
  attempt: Attempt,
  ready?: Socket,
): Promise<Answer> {
  if (ready !== undefined) checkReady(ready, attempt);
  attempt.throwIfGivenUp();
  const { protocols, compression } = plan;
  const { encrypted, host, port, path } = hop.target;
  const options: RequestOptions = {
    method: 'GET',
    host,
    port,
    path,
    // RFC 6455 4.1 (4): Host has the port, unless it is the scheme's own.
    defaultPort: encrypted ? 443 : 80,
    headers: requestFields({ key, protocols, compression, headers: hop.headers }),
    maxHeaderSize: plan.maxHeaderSize,
  };
  const { agent } = plan.options;
  if (agent !== undefined) {
    const request = agentsRequest(plan, hop, { ...options, agent });
    return answerTo(request, undefined, attempt, '');
  }
  const socket = ready ?? (await openConnection(plan, hop, proxy, attempt));
  const request = httpRequest({ ...options, createConnection: () => socket });
  return answerTo(request, socket, attempt, '');
}

/**
 * A connection that somebody has waited for may have ended since, or nobody may want it any more.
 * @throws {ApertoError} CONNECT_FAILED. Why the attempt was given up.
 */
export function checkReady(ready: Socket, attempt: Attempt): void {
  if (attempt.isGivenUp) ready.destroy();
  attempt.throwIfGivenUp();
  if (!ready.destroyed) return;
  throw connectError(ready.errored ?? new Error('the connection has ended'), '');
}

/**
 * Begins a connection to the server, or opens a tunnel first.
 * @param alpn for a connection that may be one of HTTP/2: what is offered with TLS (RFC 7301).
 * @throws {ApertoError} as `openTunnel` and `openSocket`. Why the attempt was given up.
 */
export async function openConnection(
  plan: DialPlan,
  { target, tls }: Hop,
  proxy: HttpProxy | undefined,
  attempt: Attempt,
  alpn?: string[],
): Promise<Socket> {
  // Before the tunnel is open, which would be left behind where this throws.
  const checked = target.encrypted ? withContext('tls', tls) : tls;
  const speaksFirst = alpn !== undefined && !target.encrypted;
  const tunnel =
    proxy === undefined || target.socketPath !== undefined
      ? undefined
      : await openTunnel(plan, proxy, target, attempt, speaksFirst);
  return openSocket(
    target,
    plan.address,
    alpn ? { ...checked, ALPNProtocols: alpn } : checked,
    tunnel,
  );
}

/** @throws {ApertoError} INVALID_OPTION where the agent is not for this scheme, or Node refuses an option. */
function agentsRequest({ address }: DialPlan, hop: Hop, options: RequestOptions): ClientRequest {
  const { encrypted, host, socketPath } = hop.target;
  try {
    if (!encrypted) return httpRequest({ ...address, ...options, socketPath });
    return httpsRequest({ servername: serverNameOf(host), ...hop.tls, ...address, ...options });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw apertoError('INVALID_OPTION', { detail: `with this agent: ${why}`, cause });
  }
}
