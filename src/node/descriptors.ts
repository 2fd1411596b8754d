import { readFileSync } from 'node:fs';
import type { Server as NetServer, Socket } from 'node:net';

/** With so few left a read of a file, a look-up of a name or a connection to an engine may fail already. */
const RESERVE = 16;
/** Told again only after so large a part has been free. */
const FREE_AGAIN = 0.1;

/**
 * Tells when file descriptors run out. Node itself says nothing then: it takes what connects and drops it at once, until
 * there is room again. The number of a new connection shows how many there are, since it is always the lowest free one.
 */
export function watchDescriptors(http: NetServer, report: (error: Error) => void): void {
  const limit = descriptorLimit();
  let isTold = false;
  http.on('connection', (socket: Socket) => {
    const handle: unknown = Reflect.get(socket, '_handle');
    const fd =
      typeof handle === 'object' && handle !== null ? Number(Reflect.get(handle, 'fd')) : -1;
    if (fd >= limit - RESERVE && !isTold) {
      isTold = true;
      report(
        new Error(
          `${fd + 1} of ${limit} file descriptors are in use: what connects beyond that is dropped by Node until some are free`,
        ),
      );
    } else if (fd < limit * (1 - FREE_AGAIN)) isTold = false;
  });
}

/** The most that the process may have; `Infinity` where it does not say (RLIMIT_NOFILE, on Linux). */
function descriptorLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
