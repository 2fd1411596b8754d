import { type Broker, type History, memoryHistory, memoryPresence, type Presence } from 'aperto';
import type { ChatLimits } from './limits.ts';

/** What the chat stands on: the same three whether it is one server or many. */
export interface Engine {
  /** Carries rooms to the other servers; undefined where there are none. */
  readonly broker?: Broker;
  readonly history: History;
  readonly presence: Presence;
  /** Ends the connections, once the server and the presence have been closed. Never rejects. */
  close(): Promise<void>;
}

export interface EngineSettings {
  readonly limits: ChatLimits;
  /** Members of a topic are gone with their server; it is told by one server, or by more. */
  gone(topic: string, members: readonly string[]): void;
}

/** Resolves whether the engine is there or away; rejects where it can never be used. */
export type OpenEngine = (settings: EngineSettings) => Promise<Engine>;

/** The chat of one process, which forgets everything when it ends. */
export async function memoryEngine({ limits }: EngineSettings): Promise<Engine> {
  return {
    history: memoryHistory({
      messages: limits.rememberedMessages,
      // Bytes are what bounds it: a room that nobody spoke in takes a few hundred.
      topics: 1_000_000,
      bytes: limits.memoryBytes,
    }),
    presence: memoryPresence(),
    async close() {},
  };
}

/** The engine cannot be reached, or does not answer in time. */
export class EngineAwayError extends Error {
  readonly code = 'ENGINE_AWAY';
}

/** Whether that is all that is wrong. */
export function isEngineAway(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENGINE_AWAY';
}

/**
 * How long an engine has to answer. Shorter than the time after which the page gives up a connection, so that a visitor
 * gets an answer, if not the one that was hoped for.
 */
const ANSWER_MS = 4_000;

/**
 * What the engine answers, if it does in time.
 * @throws {EngineAwayError} What was asked for may be done all the same.
 */
export async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const problem = `the engine has not answered for ${ANSWER_MS / 1000} seconds`;
    timer = setTimeout(() => reject(new EngineAwayError(problem)), ANSWER_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
