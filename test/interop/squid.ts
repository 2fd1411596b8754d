import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { findIn, findProgram, skipWithout } from '../installed-program.ts';
import { adapted, documentedBlock } from './documented-configuration.ts';
import { RunningProxy } from './proxy-program.ts';

type Replacements = Readonly<Record<string, string>>;

const program = findProgram('squid', 'APERTO_SQUID');
// What squid itself starts is beside libraries.
const checkPassword = findIn(
  [
    '/usr/lib/squid',
    '/usr/lib64/squid',
    '/usr/libexec/squid',
    ...(program === undefined ? [] : [join(dirname(program), '..', 'libexec', 'squid')]),
  ],
  'basic_ncsa_auth',
);

/** Why there can be no squid; false where there can. */
export const noSquid: string | false = skipWithout('squid', program, checkPassword);

/** The only one that gets through, percent-encoded. */
export const credentials = 'user:p%3Ass%20w%40rd';
// What `openssl passwd -apr1` makes of that password.
const passwordFile = 'user:$apr1$aperto0$YCjIfrLQLvl6feIcwWhmL1\n';

/** The documented configuration, which lets through only to this machine here, and keeps nothing. */
function configuration(folder: string, port: number | undefined, instead: Replacements): string {
  const documented = adapted(documentedBlock('deploy/squid.md', 'squid', 'squid'), {
    '3128': `127.0.0.1:${port}`,
    '/usr/lib/squid/basic_ncsa_auth': checkPassword ?? '',
    '/etc/squid/passwords': join(folder, 'passwords'),
    ...instead,
  });
  return `
acl here dst 127.0.0.0/8
http_access deny !here
${documented}
auth_param basic children 1 startup=1
cache deny all
cache_mem 1 MB
access_log none
cache_log stdio:/dev/stderr
cache_store_log none
coredump_dir ${folder}
logfile_rotate 0
max_filedescriptors 1024
netdb_filename none
pid_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname localhost
`;
}

/**
 * Starts a squid that wants a password. Returns its port.
 * @param instead what is to be in place of what is documented; else it lets through to all ports of this machine.
 */
export async function startSquid(
  t: TestContext,
  instead: Replacements = { 'port 80 443': 'port 1-65535' },
): Promise<number> {
  const squid = await RunningProxy.start({
    program,
    ports: 1,
    files: (folder, [port]) => ({
      passwords: passwordFile,
      'squid.conf': configuration(folder, port, instead),
    }),
    args: (folder) => ['-N', '-f', join(folder, 'squid.conf')],
  });
  t.after(() => squid.end());
  return squid.ports[0] ?? 0;
}
