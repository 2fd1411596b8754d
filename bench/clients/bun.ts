// Bun runs this one.
import { measureRoundTrips } from './round-trips.ts';
import { openStandard } from './standard-socket.ts';

await measureRoundTrips(openStandard((url) => new WebSocket(url)));
