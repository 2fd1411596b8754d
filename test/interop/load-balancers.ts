import { join } from 'node:path';
import { localCertificate } from '../faults/certificate.ts';
import { findProgram, skipWithout } from '../installed-program.ts';
import { adapted, documentedBlock } from './documented-configuration.ts';
import { RunningProxy } from './proxy-program.ts';

/** A proxy in front of three servers, in cleartext and over TLS. */
export interface LoadBalancer extends AsyncDisposable {
  readonly plainPort: number;
  readonly tlsPort: number;
}

export interface LoadBalancerProgram {
  readonly name: string;
  /** Why its tests cannot run here; false where they can. */
  readonly skip: string | false;
  /** Whether it asks for `/ready`. */
  readonly checks: boolean;
  /** What its configuration says of idle WebSockets, and of what has failed. */
  readonly idle: string;
  readonly retry: string;
  /**
   * Starts it as it is documented.
   * @param instead what is to be in place of what the document has.
   */
  start(
    servers: readonly number[],
    instead?: Readonly<Record<string, string>>,
  ): Promise<LoadBalancer>;
}

type Replacements = Readonly<Record<string, string>>;

interface Documented {
  readonly page: string;
  readonly heading: string;
  readonly language: string;
  replacements(
    inFolder: (name: string) => string,
    plainPort: number,
    tlsPort: number,
  ): Replacements;
  args(file: string, folder: string): readonly string[];
}

async function startProxy(
  program: string | undefined,
  { page, heading, language, replacements, args }: Documented,
  servers: readonly number[],
  instead: Replacements,
): Promise<LoadBalancer> {
  const { cert, key } = await localCertificate();
  const text = documentedBlock(page, heading, language);
  const running = await RunningProxy.start({
    program,
    ports: 2,
    files(folder, [plainPort = 0, tlsPort = 0]) {
      const inFolder = (file: string): string => join(folder, file);
      const behind = servers.map((port, index) => [
        `127.0.0.1:${9001 + index}`,
        `127.0.0.1:${port}`,
      ]);
      return {
        'cert.pem': cert,
        'key.pem': key,
        'both.pem': `${cert}\n${key}`,
        'proxy.conf': adapted(text, {
          ...replacements(inFolder, plainPort, tlsPort),
          ...Object.fromEntries(behind),
          ...instead,
        }),
      };
    },
    args: (folder) => args(join(folder, 'proxy.conf'), folder),
  });
  const [plainPort = 0, tlsPort = 0] = running.ports;
  return { plainPort, tlsPort, [Symbol.asyncDispose]: () => running.end() };
}

const nginxProgram = findProgram('nginx', 'APERTO_NGINX');
const nginx: LoadBalancerProgram = {
  name: 'nginx',
  skip: skipWithout('nginx', nginxProgram),
  checks: false,
  idle: 'proxy_read_timeout 75s',
  retry: 'fail_timeout=10s',
  start: (servers, instead = {}) =>
    startProxy(
      nginxProgram,
      {
        page: 'deploy/nginx.md',
        heading: 'nginx in front of several servers',
        language: 'nginx',
        replacements: (inFolder, plainPort, tlsPort) => ({
          'listen 80': `listen 127.0.0.1:${plainPort}`,
          'listen 443': `listen 127.0.0.1:${tlsPort}`,
          '/etc/nginx/site.pem': inFolder('cert.pem'),
          '/etc/nginx/site.key': inFolder('key.pem'),
          // It must write nowhere else.
          'http {': [
            'http {',
            'access_log off;',
            ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
              (name) => `${name}_temp_path ${inFolder(name)};`,
            ),
          ].join('\n'),
        }),
        args: (file, folder) => [
          ...['-c', file, '-e', 'stderr'],
          ...['-g', `daemon off; pid ${join(folder, 'nginx.pid')};`],
        ],
      },
      servers,
      instead,
    ),
};

const haproxyProgram = findProgram('haproxy', 'APERTO_HAPROXY');
const haproxy: LoadBalancerProgram = {
  name: 'HAProxy',
  skip: skipWithout('HAProxy', haproxyProgram),
  checks: true,
  idle: 'timeout tunnel 75s',
  retry: 'inter 1s',
  start: (servers, instead = {}) =>
    startProxy(
      haproxyProgram,
      {
        page: 'deploy/haproxy.md',
        heading: 'HAProxy in front of several servers',
        language: 'haproxy',
        replacements: (inFolder, plainPort, tlsPort) => ({
          // It wants twice as many open files, or does not start.
          'maxconn 20000': 'maxconn 1000',
          '*:80': `127.0.0.1:${plainPort}`,
          '*:443': `127.0.0.1:${tlsPort}`,
          '/etc/haproxy/site.pem': inFolder('both.pem'),
        }),
        args: (file) => ['-db', '-f', file],
      },
      servers,
      instead,
    ),
};

export const loadBalancers: readonly LoadBalancerProgram[] = [nginx, haproxy];
