import websocket from 'websocket';
import { measureRoundTrips } from './round-trips.ts';
import { openStandard } from './standard-socket.ts';

await measureRoundTrips(openStandard((url) => new websocket.w3cwebsocket(url)));
