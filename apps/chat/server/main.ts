import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { type Arguments, readArguments, UsageError, usage } from './arguments.ts';
import { type ChatServer, startChat } from './chat-server.ts';

/** Exit codes: 0 ended as asked, 1 could not listen, 2 wrong arguments. */
function fail(sentence: string, code: 1 | 2): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(code);
}

function argumentsOrExit(): Arguments {
  try {
    const given = readArguments(process.argv.slice(2), process.env);
    if (given !== undefined) return given;
  } catch (error) {
    if (error instanceof UsageError) fail(`${error.message}\n\n${usage}`, 2);
    throw error;
  }
  process.stdout.write(usage);
  process.exit(0);
}

function readPem(path: string, option: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    return fail(`${option}: ${path} cannot be read (${codeOf(error)}).`, 2);
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

async function startOrExit(given: Arguments): Promise<ChatServer> {
  const { port, host, origins, certificate, key } = given;
  const tls =
    certificate === undefined || key === undefined
      ? undefined
      : { cert: readPem(certificate, '--tls-cert'), key: readPem(key, '--tls-key') };
  try {
    return await startChat({ port, host, origins, ...(tls === undefined ? {} : { tls }) });
  } catch (error) {
    const code = codeOf(error);
    const sentences: Record<string, string> = {
      EADDRINUSE: `Port ${port} on ${host} is in use; choose another with --port.`,
      EACCES: `Port ${port} on ${host} may not be used by this user; choose another with --port.`,
      EADDRNOTAVAIL: `${host} is not an address of this machine.`,
      ENOTFOUND: `${host} is not known as a host.`,
      ENOENT: 'The page is not built; run "npm run build" first.',
    };
    return fail(sentences[code] ?? `The chat could not start: ${code}`, 1);
  }
}

const given = argumentsOrExit();
const chat = await startOrExit(given);

const everywhere = given.host === '0.0.0.0' || given.host === '::';
const address = everywhere ? chat.url.replace(/\/\/[^/]*/, `//localhost:${chat.port}`) : chat.url;
const scope = everywhere ? ', on all interfaces' : '';
process.stdout.write(`The chat is at ${address}${scope} (Ctrl+C ends it)\n`);

let ending = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Who asks twice does not want to wait for the visitors.
    if (ending) process.exit(128 + constants.signals[signal]);
    ending = true;
    void chat.close().then(() => process.exit(0));
  });
}
