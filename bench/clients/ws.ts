import { once } from 'node:events';
import { WebSocket } from 'ws';
import { lost, measureRoundTrips } from './round-trips.ts';

await measureRoundTrips(async (url, onText) => {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  // ws hands texts over as buffers; whoever reads one decodes it.
  socket.on('message', (data) => onText(data.toString()));
  await once(socket, 'open');
  socket.on('close', lost);
  return (text) => socket.send(text);
});
