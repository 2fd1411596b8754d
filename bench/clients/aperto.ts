import { connect } from 'aperto';
import { lost, measureRoundTrips } from './round-trips.ts';

await measureRoundTrips(async (url, onText) => {
  const peer = await connect(url, {
    message(_peer, data) {
      onText(typeof data === 'string' ? data : '');
    },
    close: lost,
  });
  return (text) => peer.send(text);
});
