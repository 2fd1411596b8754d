import FayeWebSocket from 'faye-websocket';
import { measureInMemory, NO_HEAD } from './measure-in-memory.ts';

await measureInMemory(async (request, memory, onMessage) => {
  const socket = new FayeWebSocket(request, memory, NO_HEAD);
  socket.on('message', ({ data }) => onMessage(typeof data === 'string' ? data.length : -1));
  await new Promise<void>((resolve) => socket.on('open', resolve));
  return (text) => socket.send(text);
});
