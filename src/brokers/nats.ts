export { type NatsBrokerOptions, natsBroker } from './nats/nats-broker.ts';
export type { NatsConnection } from './nats/nats-connection.ts';
export { type NatsHistoryOptions, natsHistory } from './nats/nats-history.ts';
export { type NatsPresenceOptions, natsPresence } from './nats/nats-presence.ts';
