/** The command line was wrong: told on stderr, exit code 2. */
export class UsageError extends Error {}

/** The command line was right, and it still cannot be done: told on stderr, exit code 1. */
export class CommandError extends Error {}

const serverOptions = `  --port N              port to listen on, 0 for any (default 9001)
  --host ADDRESS        address to listen on (default 127.0.0.1)
  --max-message BYTES   largest message (default 1048576)
  --max-fragments N     most frames of a message (default 1024)
  --protocol NAME       subprotocol to speak; repeatable
  --origin ORIGIN       origin whose pages may connect, or *; repeatable
                        (default: same-origin, and http://example.com, the RFC's example)
  --tls-cert FILE       certificate chain, PEM; with --tls-key: wss
  --tls-key FILE        its private key, PEM`;

export const usage: Readonly<Record<'aperto' | 'echo' | 'broadcast' | 'connect', string>> = {
  aperto: `aperto: WebSocket on the command line

  aperto echo        a server that returns each message in kind
  aperto broadcast   a server that sends each message to every peer
  aperto connect     a client in the terminal

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
  --ca FILE             trust this certificate, PEM
  --no-check            trust any certificate

Lines that begin with a slash are commands; // sends a line that begins with one:

  /ping [TEXT]   /pong [TEXT]   /close [CODE [REASON]]

Exits with 0 after a clean close (1000, 1001, or no code), with 1 after any other.`,
};
