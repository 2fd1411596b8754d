import { generate } from 'selfsigned';

/** What servers find their certificate in, as the program's environment. */
export const CERTIFICATE = 'APERTO_BENCH_CERTIFICATE';
export const KEY = 'APERTO_BENCH_KEY';

let made: Promise<Readonly<Record<string, string>>> | undefined;

/**
 * The environment of servers that speak TLS: a certificate for this run. It is not made by the servers themselves,
 * whose memory is looked at.
 */
export function certificateEnvironment(): Promise<Readonly<Record<string, string>>> {
  made ??= makeCertificate();
  return made;
}

async function makeCertificate(): Promise<Readonly<Record<string, string>>> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
  });
  return { [CERTIFICATE]: cert, [KEY]: key };
}
