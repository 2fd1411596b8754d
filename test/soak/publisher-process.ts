/** A second server, whose messages reach the first one over the engine. */
import { Redis } from 'ioredis';
import { redisBroker } from '../../dist/brokers/redis.js';
import { ApertoError, serve } from '../../dist/index.js';
import { FAR_MESSAGES_PER_SECOND, FAR_TOPICS } from './plan.ts';
import { asked, listen, type PublisherAsked, type ToPublisher, tell } from './process-messages.ts';
import { count } from './samples.ts';

const { enginePort } = asked<PublisherAsked>();
const engine = new Redis(enginePort, '127.0.0.1', { retryStrategy: () => 100 });
engine.on('error', () => {});
const errors: Record<string, number> = {};
const server = await serve({
  broker: redisBroker({ client: engine }),
  routes: {},
  onError: (error) => count(errors, error instanceof ApertoError ? error.code : String(error)),
});

const last: number[] = new Array<number>(FAR_TOPICS).fill(0);
let published = 0;
let next = 0;
const publishing = setInterval(
  () => {
    const topic = next % FAR_TOPICS;
    next += 1;
    const sequence = (last[topic] ?? 0) + 1;
    last[topic] = sequence;
    published += 1;
    server.publish(`far/${topic}`, `f ${topic} ${sequence}`);
  },
  1000 / (FAR_MESSAGES_PER_SECOND * FAR_TOPICS),
);
const sampling = setInterval(() => {
  const { status, unpublished } = server.health;
  const { rss } = process.memoryUsage();
  tell({
    type: 'sample',
    sample: { rss, published, unpublished, engineUp: status === 'ok', errors: { ...errors } },
  });
}, 1000);

listen<ToPublisher>(() => void stop());

async function stop(): Promise<void> {
  clearInterval(publishing);
  clearInterval(sampling);
  await server.close();
  engine.disconnect();
  tell({ type: 'stopped', last });
}
tell({ type: 'ready' });
