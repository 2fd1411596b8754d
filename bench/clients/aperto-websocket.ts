import { WebSocket } from 'aperto';
import { measureRoundTrips } from './round-trips.ts';
import { openStandard } from './standard-socket.ts';

await measureRoundTrips(openStandard((url) => new WebSocket(url)));
