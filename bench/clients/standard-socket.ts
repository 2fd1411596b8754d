import { lost, type Open } from './round-trips.ts';

interface TextEvent {
  readonly data: unknown;
}

/** A handler of any kind of event. */
type Handler = ((event: never) => unknown) | null;

/** What is used of the WebSocket of browsers. */
interface StandardSocket {
  onopen: Handler;
  onclose: Handler;
  onmessage: Handler;
  send(text: string): void;
}

/** For clients with the interface of browsers. */
export function openStandard(connect: (url: string) => StandardSocket): Open {
  return (url, onText) =>
    new Promise((resolve) => {
      const socket = connect(url);
      socket.onmessage = ({ data }: TextEvent) => onText(typeof data === 'string' ? data : '');
      socket.onopen = () => resolve((text) => socket.send(text));
      socket.onclose = lost;
    });
}
