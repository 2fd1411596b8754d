import { Agent, createServer, type Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { apertoError } from '../protocol/errors.ts';
import { type ConnectOptions, connect } from './client/connect.ts';
import { connectedDuplexes } from './memory-duplex.ts';
import type { ClientPeer, Peer } from './peer.ts';
import type { PeerHandlers } from './peer-handlers.ts';
import type { ServerTopics } from './peer-topics.ts';
import type { Route } from './routes.ts';
import { Server } from './server.ts';
import type { AttachOptions } from './server-options.ts';

/** Of `connect`'s options those that do not say how the server is reached. */
export type PairClientOptions = Pick<
  ConnectOptions,
  | keyof PeerHandlers<ClientPeer>
  | 'protocols'
  | 'headers'
  | 'compression'
  | 'limits'
  | 'slowPeers'
  | 'signal'
  | 'onError'
>;

export interface PairConnection {
  /** The path, and perhaps a query, that the client asks for; the server's peer has it in `request`. Default `/`. */
  readonly url?: string;
  /** What the client does and asks for, as with `connect`. */
  readonly client?: PairClientOptions;
}

export interface PairOptions<Data> extends PairConnection {
  /** What the server does, at whatever path, as with `serve`. Default: nothing. */
  readonly route?: Route<Data>;
  /** Where exceptions of the route's handlers go. Default: `console.error`. */
  onError?(error: unknown, peer?: Peer<Data>): void;
}

/** Two connected peers. */
export interface Pair<Data = undefined> {
  readonly client: ClientPeer;
  readonly server: Peer<Data>;
  /**
   * Connects one more client to the same route. The server's peers share their topics.
   * @throws {ApertoError} as `createPair`, but for what it says of the route.
   */
  connect(connection?: PairConnection): Promise<Pair<Data>>;
}

/** Hands an HTTP client one side of a connection in memory, and an HTTP server the other. */
class MemoryAgent extends Agent {
  readonly serverSide: Duplex;
  readonly #clientSide: Duplex;
  readonly #http: HttpServer;

  constructor(http: HttpServer) {
    super();
    this.#http = http;
    [this.#clientSide, this.serverSide] = connectedDuplexes();
  }

  override createConnection(): Duplex {
    // How node:http is given a connection that it has not accepted itself.
    this.#http.emit('connection', this.serverSide);
    return this.#clientSide;
  }
}

/** @internal */
export async function connectPair<Data>(
  options: PairOptions<Data>,
  topics: ServerTopics,
): Promise<Pair<Data>> {
  // It listens nowhere.
  const http = createServer();
  const peers = new WeakMap<Duplex, Peer<Data>>();
  const settings: AttachOptions<Data> = {
    routes: { '*': options.route === undefined ? {} : options.route },
    onError: (error, peer) =>
      options.onError === undefined ? console.error(error) : options.onError(error, peer),
  };
  new Server(http, false, topics, settings, (peer, stream) => peers.set(stream, peer));

  async function connectOne(connection: PairConnection = {}): Promise<Pair<Data>> {
    const { url = '/', client: clientOptions = {} } = connection;
    if (typeof url !== 'string' || !url.startsWith('/')) {
      throw apertoError('INVALID_OPTION', { detail: `url is a path, not ${String(url)}` });
    }
    if (typeof clientOptions !== 'object' || clientOptions === null) {
      throw apertoError('INVALID_OPTION', { detail: 'client is an object of options' });
    }
    const agent = new MemoryAgent(http);
    const client = await connect(`ws://localhost${url}`, {
      ...clientOptions,
      ...boundHandlers(clientOptions),
      agent,
    });
    // It was made before the answer that opened the client.
    const server = peers.get(agent.serverSide) as Peer<Data>;
    return { client, server, connect: connectOne };
  }
  return await connectOne(options);
}

/** The handlers keep as their `this` the object that they stand in, although `connect` is given another. */
function boundHandlers(client: PairClientOptions): PairClientOptions {
  const { message, ping, pong, drain, close, onError } = client;
  return {
    ...(message && { message: message.bind(client) }),
    ...(ping && { ping: ping.bind(client) }),
    ...(pong && { pong: pong.bind(client) }),
    ...(drain && { drain: drain.bind(client) }),
    ...(close && { close: close.bind(client) }),
    ...(onError && { onError: onError.bind(client) }),
  };
}
