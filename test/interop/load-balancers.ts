import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { localCertificate } from '../faults/certificate.ts';
import { findProgram, skipWithout } from '../installed-program.ts';
import { adapted, documentedBlock } from './documented-configuration.ts';
import { RunningProxy } from './proxy-program.ts';

type Replacements = Readonly<Record<string, string>>;

/** A proxy in front of servers, in cleartext and over TLS. */
export interface LoadBalancer extends AsyncDisposable {
  readonly plainPort: number;
  readonly tlsPort: number;
  /** Has other servers in its configuration, and has it read that anew: how it is restarted in order. */
  reload(servers: readonly number[]): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** Ends it as `kill` does, and starts it again on its ports. */
  restart(): Promise<void>;
}

/** A proxy as it is documented. */
export interface FrontProgram {
  readonly name: string;
  /** Why its tests cannot run here; false where they can. */
  readonly skip: string | false;
  /** How many servers its configuration has. */
  readonly servers: number;
  /** What its configuration says of idle WebSockets; undefined where nothing ends them. */
  readonly idle: string | undefined;
  /** Whether WebSockets stay when it reads its configuration anew; else it closes them with 1001. */
  readonly staysOnReload: boolean;
  /** Whether who has sent FIN still gets what comes; else both halves end. */
  readonly passesHalfClose: boolean;
  /** What it answers where no server can be reached. */
  readonly awayStatus: number;
  /** Instead of what it says, so that a server that is back is used again soon, and one without `/ready` as well. */
  readonly soonAgain: Replacements;
  /**
   * Starts it as it is documented.
   * @param instead what is to be in place of what the document has.
   */
  start(servers: readonly number[], instead?: Replacements): Promise<LoadBalancer>;
}

export interface LoadBalancerProgram extends FrontProgram {
  readonly idle: string;
  /** Whether it asks for `/ready`. */
  readonly checks: boolean;
  /** What its configuration says of what has failed. */
  readonly retry: string;
}

interface Documented {
  readonly page: string;
  readonly heading: string;
  readonly language: string;
  replacements(
    inFolder: (name: string) => string,
    plainPort: number,
    tlsPort: number,
  ): Replacements;
  /** The whole configuration, where the page has a part of it. */
  around?(text: string, folder: string, ports: readonly number[]): string;
  args(file: string, folder: string): readonly string[];
  reload(running: RunningProxy): void | Promise<void>;
}

async function startProxy(
  program: string | undefined,
  { page, heading, language, replacements, around = (whole) => whole, args, reload }: Documented,
  servers: readonly number[],
  instead: Replacements,
): Promise<LoadBalancer> {
  const { cert, key } = await localCertificate();
  const text = documentedBlock(page, heading, language);
  const configuration = (
    folder: string,
    [plainPort = 0, tlsPort = 0]: readonly number[],
    ports: readonly number[],
  ): string => {
    const behind = ports.map((port, index) => [`127.0.0.1:${9001 + index}`, `127.0.0.1:${port}`]);
    const own = adapted(text, {
      ...replacements((file) => join(folder, file), plainPort, tlsPort),
      ...Object.fromEntries(behind),
      ...instead,
    });
    return around(own, folder, [plainPort, tlsPort]);
  };
  const running = await RunningProxy.start({
    program,
    ports: 2,
    files: (folder, ports) => ({
      'cert.pem': cert,
      'key.pem': key,
      'both.pem': `${cert}\n${key}`,
      'proxy.conf': configuration(folder, ports, servers),
    }),
    args: (folder) => args(join(folder, 'proxy.conf'), folder),
  });
  const { folder, ports } = running;
  const [plainPort = 0, tlsPort = 0] = ports;
  return {
    plainPort,
    tlsPort,
    async reload(others) {
      await running.change('proxy.conf', configuration(folder, ports, others));
      await reload(running);
    },
    kill: () => running.kill(),
    restart: () => running.restart(),
    [Symbol.asyncDispose]: () => running.end(),
  };
}

const nginxProgram = findProgram('nginx', 'APERTO_NGINX');
const nginx: LoadBalancerProgram = {
  name: 'nginx',
  skip: skipWithout('nginx', nginxProgram),
  servers: 3,
  checks: false,
  idle: 'proxy_read_timeout 75s',
  staysOnReload: true,
  passesHalfClose: false,
  awayStatus: 502,
  soonAgain: { 'fail_timeout=10s': 'fail_timeout=1s' },
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
        reload: (running) => running.signal('SIGHUP'),
      },
      servers,
      instead,
    ),
};

const haproxyProgram = findProgram('haproxy', 'APERTO_HAPROXY');
const haproxy: LoadBalancerProgram = {
  name: 'HAProxy',
  skip: skipWithout('HAProxy', haproxyProgram),
  servers: 3,
  checks: true,
  idle: 'timeout tunnel 75s',
  staysOnReload: true,
  passesHalfClose: true,
  awayStatus: 503,
  soonAgain: { 'inter 1s': 'inter 100ms', 'option httpchk GET /ready': '' },
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
        args: (file) => ['-W', '-db', '-f', file],
        reload: (running) => running.signal('SIGUSR2', /Reloading/),
      },
      servers,
      instead,
    ),
};

export const loadBalancers: readonly LoadBalancerProgram[] = [nginx, haproxy];

const apacheProgram = findProgram('apache2', 'APERTO_APACHE');
// Beside the program's folder, as Debian has it.
const modules = join(dirname(apacheProgram ?? ''), '..', 'lib', 'apache2', 'modules');
const apache: FrontProgram = {
  name: 'Apache',
  skip: skipWithout('Apache', apacheProgram),
  servers: 1,
  idle: 'Timeout 75',
  staysOnReload: true,
  passesHalfClose: true,
  awayStatus: 503,
  soonAgain: {},
  start: (servers, instead = {}) =>
    startProxy(
      apacheProgram,
      {
        page: 'deploy/apache.md',
        heading: 'Apache',
        language: 'apache',
        replacements: (_, plainPort, tlsPort) => ({
          '*:80': `127.0.0.1:${plainPort}`,
          '*:443': `127.0.0.1:${tlsPort}`,
          '/etc/apache2/site.pem': 'cert.pem',
          '/etc/apache2/site.key': 'key.pem',
        }),
        // The page is of a site; around it is what Debian has in files of its own.
        around: (text, folder, ports) =>
          [
            `ServerRoot ${folder}`,
            `DefaultRuntimeDir ${folder}`,
            `PidFile ${join(folder, 'apache.pid')}`,
            'ErrorLog error.log',
            'Mutex posixsem',
            'User nobody',
            'Group nogroup',
            'ServerName localhost',
            ...ports.map((port) => `Listen 127.0.0.1:${port}`),
            ...[
              'mpm_event',
              'authz_core',
              'reqtimeout',
              'ssl',
              'headers',
              'proxy',
              'proxy_http',
            ].map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`),
            'RequestReadTimeout header=20 body=2,MinRate=500',
            text,
          ].join('\n'),
        args: (file) => ['-f', file, '-DFOREGROUND'],
        reload: (running) => running.signal('SIGUSR1'),
      },
      servers,
      instead,
    ),
};

const caddyProgram = findProgram('caddy', 'APERTO_CADDY');
const caddy: FrontProgram = {
  name: 'Caddy',
  skip: skipWithout('Caddy', caddyProgram),
  servers: 1,
  idle: undefined,
  staysOnReload: false,
  passesHalfClose: false,
  awayStatus: 502,
  soonAgain: {},
  start: (servers, instead = {}) =>
    startProxy(
      caddyProgram,
      {
        page: 'deploy/caddy.md',
        heading: 'Caddy',
        language: 'caddyfile',
        replacements: (inFolder, plainPort, tlsPort) => ({
          'http://app.example': `http://127.0.0.1:${plainPort}`,
          'https://app.example': `https://127.0.0.1:${tlsPort}`,
          '/etc/caddy/site.pem': inFolder('cert.pem'),
          '/etc/caddy/site.key': inFolder('key.pem'),
          // Its redirects, QUIC and its administration would take ports that are not theirs.
          'servers {': [
            `admin unix/${inFolder('admin.sock')}`,
            'auto_https off',
            'servers {',
            'protocols h1 h2',
          ].join('\n'),
        }),
        args: (file) => ['run', '--config', file, '--adapter', 'caddyfile'],
        reload: ({ folder }) => reloadCaddy(folder),
      },
      servers,
      instead,
    ),
};

async function reloadCaddy(folder: string): Promise<void> {
  await promisify(execFile)(caddyProgram ?? '', [
    ...['reload', '--force', '--config', join(folder, 'proxy.conf'), '--adapter', 'caddyfile'],
    ...['--address', `unix/${join(folder, 'admin.sock')}`],
  ]);
}

/** All that are documented in front of Aperto. */
export const frontPrograms: readonly FrontProgram[] = [...loadBalancers, apache, caddy];
