/** The command line was wrong: told on stderr, exit code 2. */
export class UsageError extends Error {}

/** The command line was right, and it still cannot be done: told on stderr, exit code 1. */
export class CommandError extends Error {}

const serverOptions = `  --port N              port to listen on, 0 for any (default 9001)
  --host ADDRESS        address to listen on (default 127.0.0.1)
  --max-message BYTES   largest message (default 1048576)
  --max-fragments N     most frames of a message (default 1024)
  --max-streams N       most WebSockets over one connection of HTTP/2 (default 100)
  --protocol NAME       subprotocol to speak; repeatable
  --origin ORIGIN       origin whose pages may connect, or *; repeatable
                        (default: same-origin, and http://example.com, the RFC's example)
  --deflate             compress messages (permessage-deflate) with who offers it
  --takeover            let messages refer to earlier ones: smaller, but memory for each connection
  --threshold BYTES     shorter messages are not compressed (default 1024)
  --h2c                 take HTTP/2 without TLS, too, from clients that begin with it
  --tls-cert FILE       certificate chain, PEM; with --tls-key: wss, over HTTP/2 and HTTP/1.1
  --tls-key FILE        its private key, PEM`;

const wayOptions = `  --http2               over HTTP/2, where the server offers that
  --redirects N         follow so many redirects (default 0)
  --proxy URL           go through this HTTP proxy (http://user:password@proxy:3128, or https:),
                        or, with 'environment', the one that http_proxy, https_proxy, ... name
  --ca FILE             trust this certificate, PEM
  --no-check            trust any certificate
  --cert FILE           the client's own certificate, PEM; with --key
  --key FILE            its private key, PEM`;

type Command = 'echo' | 'broadcast' | 'connect' | 'bench';

export const usage: Readonly<Record<Command | 'aperto', string>> = {
  aperto: `aperto: WebSocket on the command line

  aperto echo        a server that returns each message in kind
  aperto broadcast   a server that sends each message to every peer
  aperto connect     a client in the terminal
  aperto bench       loads a server and measures it

  aperto COMMAND --help tells its options, aperto --version the version.`,

  echo: `aperto echo [options]

A server that returns each message in kind, at any path, until SIGINT or SIGTERM.

${serverOptions}`,

  broadcast: `aperto broadcast [options]

A server that sends each message to every peer, the sender too, at any path, until SIGINT or SIGTERM.

${serverOptions}`,

  connect: `aperto connect URL [options]

Sends each line that is typed as a message, and prints the messages that come. Reads standard input when
that is no terminal, and closes when it ends.

  --protocol NAME       subprotocol to offer; repeatable
  --header 'NAME: V'    further header of the request; repeatable
  --origin ORIGIN       the Origin header
  --binary              send lines as binary messages
  --json                print one JSON object a line for everything that happens
  --execute TEXT        send TEXT instead of reading input; repeatable
  --wait SECONDS        wait for messages before closing, after the input or --execute (default 1)
  --deflate             offer compression (permessage-deflate)
  --takeover            let messages refer to earlier ones
  --threshold BYTES     shorter messages are not compressed (default 1024)
${wayOptions}

Lines that begin with a slash are commands; // sends a line that begins with one:

  /ping [TEXT]   /pong [TEXT]   /close [CODE [REASON]]

Exits with 0 after a clean close (1000, 1001, or no code), with 1 after any other.`,

  bench: `aperto bench URL [options]

Loads a server, and tells how many messages it handled and how long each took.

  --mode echo           each connection sends, and expects the same back, as from aperto echo (default)
  --mode fan-out        the first connection sends, all receive, as from aperto broadcast
  --mode handshake      connections are opened, closed with 1000, and opened again
  --mode idle           connections are opened and held

  --connections N       connections open at once (default 100)
  --duration SECONDS    how long it is counted (default 10)
  --warm-up SECONDS     how long it runs before that (default 1)
  --size BYTES          payload of a message (default 20)
  --in-flight N         messages of each sender on their way (default 1)
  --rate N              messages to send a second, by all senders together, in place of --in-flight;
                        latency counts from when a message was due
  --binary              send binary messages
  --json                print one JSON object a line

  --protocol NAME       subprotocol to offer; repeatable
  --header 'NAME: V'    further header of the requests; repeatable
  --origin ORIGIN       the Origin header
  --deflate             offer compression (permessage-deflate); payloads are JSON then
  --takeover            let messages refer to earlier ones
  --threshold BYTES     shorter messages are not compressed (default 1024)
${wayOptions}

--size, --in-flight, --rate and --binary are for echo and fan-out. Ctrl-C ends early and tells what was counted.
Exits with 1 where a connection was lost, a message was wrong or missing, or none came.`,
};
