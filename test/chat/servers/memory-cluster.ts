import {
  type Engine,
  EngineAwayError,
  type EngineSettings,
  memoryEngine,
} from '../../../apps/chat/dist/server/engine.js';
import { defaultChatLimits } from '../../../apps/chat/dist/server/limits.js';
import { type Broker, type BrokerHost, MemoryEngine, type Presence } from '../../../dist/index.js';
import type { SharedEngine } from './servers-contract.ts';

/** What one server has entered: by topic, how often each name; and what of it the engine has. */
interface Node {
  readonly entered: Map<string, Map<string, number>>;
  known: Map<string, Map<string, number>>;
}

/** An engine within the test: what the servers share, until it is said to be away. */
export class MemoryCluster implements SharedEngine {
  readonly #topics = new MemoryEngine();
  readonly #hosts = new Set<BrokerHost>();
  readonly #nodes = new Set<Node>();
  #history: Promise<Engine> = newEngine();
  #isAway = false;

  /** What each server is told of people who are gone with theirs. */
  readonly tellGone: EngineSettings['gone'][] = [];

  readonly open = async ({ gone }: EngineSettings): Promise<Engine> => {
    this.tellGone.push(gone);
    return this.#node();
  };

  readonly #node = (): Engine => ({
    broker: this.broker(),
    history: {
      append: async (...given) => (await this.#reached(this.#history)).history.append(...given),
      read: async (...given) => (await this.#reached(this.#history)).history.read(...given),
    },
    presence: this.presence(),
    async close() {},
  });

  #reached<T>(answer: T): T {
    if (this.#isAway) throw new EngineAwayError('it is away');
    return answer;
  }

  /** Of one server more. */
  presence(): Presence {
    const node: Node = { entered: new Map(), known: new Map() };
    this.#nodes.add(node);
    const change = (topic: string, member: string, by: 1 | -1): boolean => {
      const wasThere = this.#isThere(topic, member);
      const members = node.entered.get(topic) ?? new Map<string, number>();
      node.entered.set(topic, members);
      members.set(member, (members.get(member) ?? 0) + by);
      this.#reached(0);
      node.known = structuredClone(node.entered);
      return wasThere !== this.#isThere(topic, member);
    };
    return {
      enter: async (topic, member) => change(topic, member, 1),
      leave: async (topic, member) => change(topic, member, -1),
      members: async (topic) => {
        const names = [...this.#nodes].flatMap(({ known }) => [
          ...(known.get(topic)?.keys() ?? []),
        ]);
        return this.#reached([...new Set(names)].filter((name) => this.#isThere(topic, name)));
      },
      close: async () => void this.#nodes.delete(node),
    };
  }

  #isThere(topic: string, member: string): boolean {
    return [...this.#nodes].some(({ known }) => (known.get(topic)?.get(member) ?? 0) > 0);
  }

  /** Of one server more. */
  broker(): Broker {
    const broker = this.#topics.broker();
    let host: BrokerHost | undefined;
    return {
      start: async (given) => {
        host = given;
        this.#hosts.add(given);
        await broker.start(given);
      },
      subscribe: async (topics) => this.#reached(broker).subscribe(topics),
      unsubscribe: async (topics) => this.#reached(broker).unsubscribe(topics),
      publish: async (topic, bytes) => this.#reached(broker).publish(topic, bytes),
      close: async () => {
        if (host !== undefined) this.#hosts.delete(host);
        await broker.close();
      },
    };
  }

  async away(): Promise<void> {
    this.#isAway = true;
    for (const host of this.#hosts) host.down(new EngineAwayError('it is away'));
  }

  async back(): Promise<void> {
    this.#isAway = false;
    for (const node of this.#nodes) node.known = structuredClone(node.entered);
    for (const host of this.#hosts) host.up();
  }

  async loseAll(): Promise<void> {
    await this.away();
    this.#history = newEngine();
    await this.back();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function newEngine(): Promise<Engine> {
  return memoryEngine({ limits: defaultChatLimits, gone() {} });
}
