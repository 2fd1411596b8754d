import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { apertoError } from '../../protocol/errors.ts';
import { answerTo, refused } from './answer.ts';
import type { Attempt } from './attempt.ts';
import type { DialPlan } from './dial-plan.ts';
import { openSocket, type TcpEndpoint, withContext } from './open-socket.ts';
import type { HttpProxy } from './proxy.ts';

/** `host:port`, an IPv6 address in brackets. */
function authority({ host, port }: TcpEndpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * Opens a tunnel through a proxy (RFC 9110 9.3.6). Where that fails, or `attempt` is given up first, nothing is left of
 * the connection.
 * @param speaksFirst whether the server may speak at once, as one of HTTP/2 does (RFC 9113 3.4).
 * @throws {ApertoError} CONNECT_FAILED, CERTIFICATE_NAME; PROXY_REFUSED with `response`; INVALID_OPTION for what
 * Node refuses. Why the attempt was given up.
 */
export async function openTunnel(
  { address, maxHeaderSize, proxyTls }: DialPlan,
  proxy: HttpProxy,
  target: TcpEndpoint,
  attempt: Attempt,
  speaksFirst: boolean,
): Promise<Socket> {
  const tls = proxy.encrypted ? withContext('proxyTls', proxyTls) : proxyTls;
  const socket = openSocket(proxy, address, tls);
  const to = authority(target);
  const request = httpRequest({
    method: 'CONNECT',
    // The target is all that there is of the URI, and is the Host as well.
    path: to,
    headers: {
      Host: to,
      ...(proxy.authorization !== undefined && { 'Proxy-Authorization': proxy.authorization }),
    },
    createConnection: () => socket,
    maxHeaderSize,
  });
  const whose = `the proxy ${authority(proxy)}: `;
  const { response, raw } = await answerTo(request, socket, attempt, whose);
  const { statusCode = 0 } = response;
  const head = raw?.head ?? Buffer.alloc(0);
  const refuse = (detail: string): Error => {
    socket.destroy();
    // Node leaves a body to us. What came of it is enough to tell, unless it is in chunks.
    const body = response.headers['transfer-encoding'] === undefined ? head.toString('utf8') : '';
    return apertoError('PROXY_REFUSED', { detail, response: refused(response, body) });
  };
  if (raw === undefined || statusCode < 200 || statusCode > 299)
    throw refuse(`status ${statusCode}`);
  // No server of HTTP/1.1 or TLS speaks before it is spoken to, so this is not a tunnel to one.
  if (head.length > 0 && !speaksFirst) throw refuse('more came than its answer');
  if (head.length > 0) socket.unshift(head);
  return socket;
}
