import { once } from 'node:events';
import FayeWebSocket from 'faye-websocket';
import { lost, measureRoundTrips } from './round-trips.ts';

await measureRoundTrips(async (url, onText) => {
  const socket = new FayeWebSocket.Client(url);
  socket.on('message', ({ data }) => onText(typeof data === 'string' ? data : ''));
  await once(socket, 'open');
  socket.on('close', lost);
  return (text) => socket.send(text);
});
