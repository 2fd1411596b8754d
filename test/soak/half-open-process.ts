/** Peers that answer pings, until nothing reaches them any more. Ended from outside. */
import { connect } from '../../dist/index.js';
import { asked, type HalfOpenAsked, tell } from './process-messages.ts';

const { url, count, prefix } = asked<HalfOpenAsked>();
process.on('disconnect', () => process.exit());
try {
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      connect(`${url}/half-open?id=${prefix}-${index}`, { message() {} }),
    ),
  );
  tell({ type: 'open' });
} catch (error) {
  tell({ type: 'failed', why: String(error) });
}
