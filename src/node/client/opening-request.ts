import { type ClientRequest, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { apertoError } from '../../protocol/errors.ts';
import { type Answer, answerTo } from './answer.ts';
import type { Attempt } from './attempt.ts';
import type { DialPlan } from './dial-plan.ts';
import { openSocket, serverNameOf, withContext } from './open-socket.ts';
import type { HttpProxy } from './proxy.ts';
import type { Hop } from './redirects.ts';
import { openTunnel } from './tunnel.ts';

/**
 * Sends the request of the opening handshake, over a connection of its own or one that the agent makes, and
 * waits for the head of the answer. Where it fails, or `attempt` is given up first, nothing is left of the connection.
 * @throws {ApertoError} as `openTunnel` and `answerTo`. Why the attempt was given up.
 */
export async function ask(
  plan: DialPlan,
  hop: Hop,
  proxy: HttpProxy | undefined,
  key: string,
  attempt: Attempt,
): Promise<Answer> {
  attempt.throwIfGivenUp();
  const { encrypted, host, port, path } = hop.target;
  const options: RequestOptions = {
    method: 'GET',
    host,
    port,
    path,
    // RFC 6455 4.1 (4): Host has the port, unless it is the scheme's own.
    defaultPort: encrypted ? 443 : 80,
    headers: { ...hop.fields, 'Sec-WebSocket-Key': key },
    maxHeaderSize: plan.maxHeaderSize,
  };
  const { agent } = plan.options;
  if (agent !== undefined) {
    const request = agentsRequest(plan, hop, { ...options, agent });
    return answerTo(request, undefined, attempt, '');
  }
  // Before the tunnel is open, which would be left behind where this throws.
  const tls = encrypted ? withContext('tls', hop.tls) : hop.tls;
  const tunnel =
    proxy === undefined || hop.target.socketPath !== undefined
      ? undefined
      : await openTunnel(plan, proxy, hop.target, attempt);
  const socket = openSocket(hop.target, plan.address, tls, tunnel);
  const request = httpRequest({ ...options, createConnection: () => socket });
  return answerTo(request, socket, attempt, '');
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
