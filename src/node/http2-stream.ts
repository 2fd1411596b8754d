import type { Http2Stream, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';

/** RFC 9113 7: nothing went wrong; the stream is no longer needed. */
const NO_ERROR = 0x0;
export const CANCEL = 0x8;

/** Whether it is a stream of HTTP/2; without node:http2, which most processes need not load. */
export function isHttp2Stream(stream: Duplex): stream is Http2Stream {
  return 'rstCode' in stream;
}

/** Whether a request's stream can still be answered: once the client has reset it, Node throws at whoever tries. */
export function canBeAnswered({ closed, destroyed, headersSent }: ServerHttp2Stream): boolean {
  return !closed && !destroyed && !headersSent;
}

/** What a stream of HTTP/2 was reset with (RFC 9113 7); 0 where it was not, or is none. */
export function resetCodeOf(stream: Duplex): number {
  return isHttp2Stream(stream) ? (stream.rstCode ?? NO_ERROR) : NO_ERROR;
}

/** Ends a stream at once, in both directions. */
export function resetStream(stream: Duplex): void {
  // RFC 8441 5: what is a reset of a TCP connection is RST_STREAM with CANCEL over HTTP/2.
  if (isHttp2Stream(stream) && !stream.closed) stream.close(CANCEL);
  stream.destroy();
}

/**
 * Ends our direction of a stream, and as a server the other as well once that is out: some peers forget theirs.
 */
export function endStream(stream: Duplex, isServer: boolean): void {
  if (stream.writableEnded) return;
  stream.end();
  if (isServer && isHttp2Stream(stream)) closeOnceFinished(stream);
}

/** Has the other direction of a stream end too, once all of ours is out; a server that has said all may (RFC 9113 8.1). */
export function closeOnceFinished(stream: Http2Stream): void {
  // Not at once: the reset would overtake what is on its way out, in some versions of Node a head without a body.
  stream.once('finish', () => setImmediate(() => stream.close(NO_ERROR)));
}
