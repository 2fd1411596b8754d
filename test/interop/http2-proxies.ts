import { join } from 'node:path';
import { localCertificate } from '../faults/certificate.ts';
import { findProgram, skipWithout } from '../installed-program.ts';
import { type ProxyProgram, RunningProxy } from './proxy-program.ts';

/** What the proxy speaks to the server behind it. */
export type Behind = 'http/1.1' | 'h2c' | 'h2';
export const everyBehind: readonly Behind[] = ['http/1.1', 'h2c', 'h2'];

/** A proxy in front of a server, which takes HTTP/1.1 and HTTP/2 on both of its ports. */
export interface ProxyInFront extends AsyncDisposable {
  readonly plainPort: number;
  readonly tlsPort: number;
  kill(): Promise<void>;
}

export interface Http2Proxy {
  readonly name: string;
  /** Why its tests cannot run here; false where they can. */
  readonly skip: string | false;
  start(behind: Behind, port: number): Promise<ProxyInFront>;
}

type Configure = (
  folder: string,
  plainPort: number | undefined,
  tlsPort: number | undefined,
  behind: Behind,
  port: number,
) => string;

function http2Proxy(
  name: string,
  program: string | undefined,
  configure: Configure,
  args: (file: string) => readonly string[],
): Http2Proxy {
  return {
    name,
    skip: skipWithout(name, program),
    async start(behind, port) {
      const { cert, key } = await localCertificate();
      const proxy: ProxyProgram = {
        program,
        ports: 2,
        files: (folder, [plainPort, tlsPort]) => ({
          'cert.pem': cert,
          'key.pem': key,
          'both.pem': `${cert}\n${key}`,
          'proxy.conf': configure(folder, plainPort, tlsPort, behind, port),
        }),
        args: (folder) => args(join(folder, 'proxy.conf')),
      };
      const running = await RunningProxy.start(proxy);
      const [plainPort = 0, tlsPort = 0] = running.ports;
      return {
        plainPort,
        tlsPort,
        kill: () => running.kill(),
        [Symbol.asyncDispose]: () => running.end(),
      };
    },
  };
}

const haproxyServer: Readonly<Record<Behind, string>> = {
  'http/1.1': '',
  h2c: 'proto h2',
  h2: 'ssl verify required ca-file cert.pem alpn h2',
};

/** `timeout tunnel` is what counts once there is a WebSocket; without it `timeout client` ends those that are silent. */
const haproxy = http2Proxy(
  'HAProxy',
  findProgram('haproxy', 'APERTO_HAPROXY'),
  (_folder, plainPort, tlsPort, behind, port) => `
global
  maxconn 256
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 1h
frontend here
  bind 127.0.0.1:${plainPort}
  bind 127.0.0.1:${tlsPort} ssl crt both.pem alpn h2,http/1.1
  default_backend application
backend application
  server first 127.0.0.1:${port} ${haproxyServer[behind]}
`,
  (file) => ['-db', '-f', file],
);

const nghttpxBackend: Readonly<Record<Behind, string>> = {
  'http/1.1': '',
  h2c: ';;proto=h2',
  // It looks for a name in the certificate, not for an address.
  h2: ';;proto=h2;tls;sni=localhost',
};

const nghttpx = http2Proxy(
  'nghttpx',
  findProgram('nghttpx', 'APERTO_NGHTTPX'),
  (folder, plainPort, tlsPort, behind, port) => `
frontend=127.0.0.1,${plainPort};no-tls
frontend=127.0.0.1,${tlsPort}
backend=127.0.0.1,${port}${nghttpxBackend[behind]}
private-key-file=${join(folder, 'key.pem')}
certificate-file=${join(folder, 'cert.pem')}
cacert=${join(folder, 'cert.pem')}
no-ocsp=yes
single-process=yes
`,
  (file) => ['--conf', file],
);

export const http2Proxies: readonly Http2Proxy[] = [haproxy, nghttpx];
