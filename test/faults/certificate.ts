import { generate } from 'selfsigned';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate that vouches for itself: who trusts it as a CA has only its names to object to. */
export async function certificateFor(name: string, address?: string): Promise<Certificate> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: name },
          ...(address === undefined ? [] : [{ type: 7 as const, ip: address }]),
        ],
      },
    ],
  });
  return { cert, key };
}

let local: Promise<Certificate> | undefined;

/** One for 127.0.0.1, the same for all tests of a file. */
export function localCertificate(): Promise<Certificate> {
  local ??= certificateFor('localhost', '127.0.0.1');
  return local;
}
