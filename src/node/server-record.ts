import type { ErrorCode } from '../protocol/errors.ts';
import type { CompressionCounters } from '../protocol/extensions/compression-counters.ts';
import { errors, handshakes } from './diagnostics.ts';
import { type Logger, ServerLog } from './logger.ts';
import type { ClientPeer } from './peer.ts';
import type { CloseInfo } from './peer-handlers.ts';
import type { TopicCarrier } from './peer-topics.ts';
import type { ServerHealth } from './server-health.ts';
import { type ServerMetrics, Tally } from './server-metrics.ts';
import { newTraffic, type Traffic } from './traffic.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

interface RecordOptions<P> {
  readonly logger?: Logger;
  onError?(error: unknown, peer?: P): void;
}

/** Keeps count of what happens to a server, and tells the log, the diagnostics channels and `onError`. */
export class ServerRecord<P extends ClientPeer> {
  readonly traffic: Traffic = newTraffic();
  /** Messages that the policies for slow peers have dropped. */
  dropped = 0;
  readonly #log: ServerLog | undefined;
  readonly #onError: (error: unknown, peer?: P) => void;
  readonly #refused = new Tally<string>();
  readonly #closed = new Tally<number>();
  #opened = 0;
  #errors = 0;

  /** @throws {ApertoError} INVALID_OPTION */
  constructor(options: RecordOptions<P>) {
    const { logger } = options;
    const log = logger === undefined ? undefined : new ServerLog(logger);
    this.#log = log;
    this.#onError =
      options.onError?.bind(options) ??
      ((error) => (log === undefined ? console.error(error) : log.failed(error)));
  }

  refused(request: UpgradeRequest, status: number, code: ErrorCode | undefined): void {
    const reason = code ?? `status ${status}`;
    this.#refused.add(reason);
    this.#log?.refused(request, status, reason);
    if (handshakes.hasSubscribers) handshakes.publish({ request, status, error: code });
  }

  granted(request: UpgradeRequest, status: number, protocol: string): void {
    this.#opened += 1;
    this.#log?.opened(request, protocol);
    if (handshakes.hasSubscribers) handshakes.publish({ request, status, error: undefined });
  }

  closed(request: UpgradeRequest, info: CloseInfo): void {
    this.#closed.add(info.code);
    this.#log?.closed(request, info);
  }

  health(health: ServerHealth): void {
    this.#log?.health(health);
  }

  /** Never throws: whoever is told of an error may fail as well. */
  error(error: unknown, peer?: P): void {
    this.#errors += 1;
    if (errors.hasSubscribers) errors.publish({ error, peer });
    try {
      this.#onError(error, peer);
    } catch (second) {
      console.error(second);
    }
  }

  metrics(
    open: number,
    compression: CompressionCounters,
    carrier: TopicCarrier | undefined,
  ): ServerMetrics {
    const { bytesReceived, bytesSent, messagesReceived, messagesSent } = this.traffic;
    return {
      connections: {
        open,
        opened: this.#opened,
        refused: this.#refused.counts,
        closed: this.#closed.counts,
      },
      messages: {
        received: messagesReceived,
        sent: messagesSent,
        dropped: this.dropped,
        unpublished: carrier?.unpublished ?? 0,
      },
      bytes: { received: bytesReceived, sent: bytesSent },
      gaps: carrier?.gaps ?? 0,
      compression: structuredClone(compression),
      errors: this.#errors,
    };
  }
}
