import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import process from 'node:process';
import { CloseCode, type CloseOptions } from 'aperto';
import type { Arguments } from './arguments.ts';
import { type ChatServer, startChat } from './chat-server.ts';
import { isEngineAway, memoryEngine, type OpenEngine } from './engine.ts';

/** What a worker is asked by the primary process. */
export interface WorkerOrder {
  /** `notice`: load balancers are to be told first, since all workers end. */
  readonly end: 'with-notice' | 'without-notice' | 'interrupted';
}

/** What a worker tells the primary process once it listens. */
export interface WorkerGreeting {
  readonly greeting: string;
}

/** Exit codes: 0 ended as asked, 1 could not listen, 2 wrong arguments. */
export function fail(sentence: string, code: 1 | 2): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(code);
}

/** Runs the chat in this process, alone or as a worker of several, until a signal ends it. */
export async function runChat(given: Arguments, worker: number | undefined): Promise<void> {
  const { noticeMs } = given;
  const chat = await startOrExit(given, worker);
  let isEnding = false;
  const end = (options: CloseOptions): void => {
    isEnding = true;
    const spreadMs = given.spreadMs ?? Math.min(10_000, 10 * chat.health.peers);
    void chat.close({ spreadMs, ...options }).then(() => process.exit(0));
  };
  // Who is asked to go away by a person comes back later; after a restart one can come back at once.
  const interrupted: CloseOptions = { code: CloseCode.GOING_AWAY };
  const restarted: CloseOptions = { code: CloseCode.SERVICE_RESTART, noticeMs };

  const onSignal = (signal: 'SIGINT' | 'SIGTERM', options: CloseOptions): void => {
    process.on(signal, () => {
      // Who asks twice does not want to wait for the visitors.
      if (isEnding) process.exit(128 + constants.signals[signal]);
      end(options);
    });
  };
  onSignal('SIGTERM', restarted);
  const greeting = greetingOf(given, chat);
  if (worker === undefined) {
    onSignal('SIGINT', interrupted);
    process.stdout.write(`${greeting}\n`);
    return;
  }
  // Ctrl+C goes to the primary process too, which passes it on.
  process.on('SIGINT', () => {});
  process.on('message', ({ end: how }: WorkerOrder) => {
    if (isEnding) return;
    if (how === 'interrupted') end(interrupted);
    else end(how === 'with-notice' ? restarted : { ...restarted, noticeMs: 0 });
  });
  process.send?.({ greeting } satisfies WorkerGreeting);
}

async function startOrExit(given: Arguments, worker: number | undefined): Promise<ChatServer> {
  const { port, host, origins, certificate, key } = given;
  const tls =
    certificate === undefined || key === undefined
      ? undefined
      : { cert: readPem(certificate, '--tls-cert'), key: readPem(key, '--tls-key') };
  const name = engineName(given);
  const say = (sentence: string): void => {
    process.stderr.write(`${worker === undefined ? '' : `Worker ${worker}: `}${sentence}\n`);
  };
  let wasAway = false;
  try {
    return await startChat({
      port,
      host,
      origins,
      ...(tls === undefined ? {} : { tls }),
      engine: await openEngine(given),
      onError(error) {
        wasAway ||= isEngineAway(error);
        if (isEngineAway(error))
          say(`${name} cannot be reached, and is tried again: ${causeOf(error)}`);
        else if (codeOf(error) === 'PUBLISH_FAILED') say(textOf(error));
        else console.error(error);
      },
      onHealth({ status }) {
        if (status !== 'ok' || !wasAway) return;
        wasAway = false;
        say(`${name} is reached again.`);
      },
    });
  } catch (error) {
    const code = codeOf(error);
    const sentences: Record<string, string> = {
      EADDRINUSE: `Port ${port} on ${host} is in use; choose another with --port.`,
      EACCES: `Port ${port} on ${host} may not be used by this user; choose another with --port.`,
      EADDRNOTAVAIL: `${host} is not an address of this machine.`,
      ENOTFOUND: `${host} is not known as a host.`,
      ENOENT: 'The page is not built; run "npm run build" first.',
    };
    return fail(sentences[code] ?? `The chat could not start: ${textOf(error)}`, 1);
  }
}

/** A client is loaded only where its engine is used. */
async function openEngine({ engine }: Arguments): Promise<OpenEngine> {
  if (engine === undefined) return memoryEngine;
  if (engine.kind === 'redis') return (await import('./engine-redis.ts')).redisEngine(engine.url);
  return (await import('./engine-nats.ts')).natsEngine(engine.url);
}

/** Without what may be secret in its URL. */
function engineName({ engine }: Arguments): string {
  if (engine === undefined) return 'memory';
  return `${engine.kind === 'redis' ? 'Redis' : 'NATS'} at ${new URL(engine.url).host}`;
}

function greetingOf(given: Arguments, chat: ChatServer): string {
  const { host, engine, workers } = given;
  const everywhere = host === '0.0.0.0' || host === '::';
  const address = everywhere ? chat.url.replace(/\/\/[^/]*/, `//localhost:${chat.port}`) : chat.url;
  const scope = everywhere ? ', on all interfaces' : '';
  const over = engine === undefined ? '' : `, over ${engineName(given)}`;
  const by = workers === 1 ? '' : `, by ${workers} workers`;
  return `The chat is at ${address}${scope}${over}${by} (Ctrl+C ends it)`;
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

/** What lies at the bottom of it. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? textOf(error) : causeOf(cause);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
