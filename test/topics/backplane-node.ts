import type { MessageBatch } from '../../dist/protocol/messages/message-batch.js';
import type { PreparedMessage } from '../../dist/protocol/messages/prepared-message.js';
import { Backplane } from '../../dist/topics/backplane.js';
import { TopicPolicies, type TopicPolicy } from '../../dist/topics/topic-options.js';
import type { Subscriber, Topic } from '../../dist/topics/topics.js';
import { testPlatform } from '../protocol/test-platform.ts';
import { FakeBroker } from './fake-broker.ts';
import { ManualPorts } from './manual-ports.ts';

function textOf({ frame, payloadStart }: PreparedMessage): string {
  return testPlatform.decodeUtf8(frame, payloadStart, frame.length) ?? '';
}

/** Writes down the texts it is sent, and `gap` where it is told of one. */
export class Listener implements Subscriber {
  readonly got: string[] = [];

  deliver({ messages }: MessageBatch, _last: boolean, _topic: Topic): void {
    for (const message of messages) this.got.push(textOf(message));
  }

  missed(_topic: string): void {
    this.got.push('gap');
  }
}

/** A node whose engine and time the test plays. */
export class BackplaneNode {
  readonly broker: FakeBroker;
  readonly ports = new ManualPorts();
  readonly backplane: Backplane<Listener>;
  readonly errors: unknown[] = [];
  /** What `isUp` was each time that it was told to have changed. */
  readonly changes: boolean[] = [];

  constructor(
    broker: FakeBroker = new FakeBroker(),
    topics: Readonly<Record<string, TopicPolicy>> = {},
    maxUnpublishedBytes?: number,
  ) {
    this.broker = broker;
    const policies = new TopicPolicies(topics);
    this.backplane = new Backplane(broker, this.ports, policies, maxUnpublishedBytes);
  }

  start(): Promise<void> {
    return this.backplane.start({
      error: (error) => void this.errors.push(error),
      changed: () => void this.changes.push(this.backplane.isUp),
    });
  }

  /** A new subscriber of a topic. */
  listen(topic: string): Listener {
    const listener = new Listener();
    this.backplane.subscribe(listener, topic);
    return listener;
  }
}
