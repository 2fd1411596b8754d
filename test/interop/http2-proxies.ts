import { join } from 'node:path';
import { localCertificate } from '../faults/certificate.ts';
import { findProgram, skipWithout } from '../installed-program.ts';
import { adapted, documentedBlock } from './documented-configuration.ts';
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

/** What is documented has its own ports, addresses and paths. */
type Replacements = Readonly<Record<string, string>>;

interface Documented {
  readonly language: string;
  /** For the ports that it takes, and the one of the server behind it. */
  replacements(
    inFolder: (name: string) => string,
    plainPort: number,
    tlsPort: number,
    port: number,
  ): Replacements;
  /** Those of a server that it speaks TLS with. */
  tlsReplacements(inFolder: (name: string) => string): Replacements;
  args(file: string): readonly string[];
}

/** A proxy as docs/deploy/http2.md configures it. */
function http2Proxy(
  name: string,
  program: string | undefined,
  { language, replacements, tlsReplacements, args }: Documented,
): Http2Proxy {
  return {
    name,
    skip: skipWithout(name, program),
    async start(behind, port) {
      const { cert, key } = await localCertificate();
      const text = documentedBlock('deploy/http2.md', headingOf(name, behind), language);
      const proxy: ProxyProgram = {
        program,
        ports: 2,
        files(folder, [plainPort = 0, tlsPort = 0]) {
          const inFolder = (file: string): string => join(folder, file);
          return {
            'cert.pem': cert,
            'key.pem': key,
            'both.pem': `${cert}\n${key}`,
            'proxy.conf': adapted(text, {
              ...replacements(inFolder, plainPort, tlsPort, port),
              ...(behind === 'h2' && tlsReplacements(inFolder)),
            }),
          };
        },
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

function headingOf(name: string, behind: Behind): string {
  const ways = { 'http/1.1': 'HTTP/1.1', h2c: 'h2c', h2: 'h2 over TLS' };
  return `${name}, ${ways[behind]} behind`;
}

const haproxy = http2Proxy('HAProxy', findProgram('haproxy', 'APERTO_HAPROXY'), {
  language: 'haproxy',
  replacements: (inFolder, plainPort, tlsPort, port) => ({
    '*:80': `127.0.0.1:${plainPort}`,
    '*:443': `127.0.0.1:${tlsPort}`,
    '/etc/haproxy/site.pem': inFolder('both.pem'),
    '127.0.0.1:9001': `127.0.0.1:${port}`,
  }),
  tlsReplacements: (inFolder) => ({
    '/etc/haproxy/aperto.pem': inFolder('cert.pem'),
    'aperto.internal': 'localhost',
  }),
  args: (file) => ['-db', '-f', file],
});

const nghttpx = http2Proxy('nghttpx', findProgram('nghttpx', 'APERTO_NGHTTPX'), {
  language: 'ini',
  replacements: (inFolder, plainPort, tlsPort, port) => ({
    '*,80': `127.0.0.1,${plainPort}`,
    '*,443': `127.0.0.1,${tlsPort}`,
    '/etc/nghttpx/cert.pem': inFolder('cert.pem'),
    '/etc/nghttpx/key.pem': inFolder('key.pem'),
    '127.0.0.1,9001': `127.0.0.1,${port}`,
  }),
  tlsReplacements: (inFolder) => ({
    '/etc/nghttpx/aperto.pem': inFolder('cert.pem'),
    'aperto.internal': 'localhost',
  }),
  // It must end with its process, and look for nothing outside.
  args: (file) => ['--conf', file, '--single-process', '--no-ocsp'],
});

export const http2Proxies: readonly Http2Proxy[] = [haproxy, nghttpx];
