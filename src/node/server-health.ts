/** How a server is. */
export interface ServerHealth {
  /** `degraded`: the broker's engine is away, so that what is published reaches this server alone. */
  readonly status: 'ok' | 'degraded' | 'closing';
  /** Whether to send it new connections: false from the moment that `close` is called. */
  readonly ready: boolean;
  /** Peers that are there. */
  readonly peers: number;
  /** Messages dropped by the policies for slow peers. */
  readonly dropped: number;
  /** Messages published here that may not have reached other servers. */
  readonly unpublished: number;
  /** How often messages of other servers may have been lost on their way here: a count of `gap` calls by topic. */
  readonly gaps: number;
}
