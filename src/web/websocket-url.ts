// RFC 6455 4.1 (10): characters U+0021 to U+007E without the separators of RFC 2616.
const SUBPROTOCOL = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;

function syntaxError(message: string): DOMException {
  return new DOMException(message, 'SyntaxError');
}

/** The API base URL (HTML 8.1.3.2): a page's or a worker's; undefined where there is neither, as in Node. */
function baseUrl(): string | undefined {
  if (typeof document !== 'undefined') return document.baseURI;
  return typeof location === 'undefined' ? undefined : location.href;
}

/**
 * WHATWG WebSockets, "get a URL record". A user and password stay in it.
 * @throws {DOMException} SyntaxError
 */
export function urlRecord(url: string): URL {
  // 1. Let urlRecord be the result of applying the URL parser to url with baseURL.
  // 2. If urlRecord is failure, then throw a "SyntaxError" DOMException.
  let record: URL;
  try {
    record = new URL(url, baseUrl());
  } catch {
    throw syntaxError(`${JSON.stringify(url)} is not a URL`);
  }
  // 3. If urlRecord's scheme is "http", then set urlRecord's scheme to "ws".
  if (record.protocol === 'http:') record.protocol = 'ws:';
  // 4. Otherwise, if urlRecord's scheme is "https", set urlRecord's scheme to "wss".
  else if (record.protocol === 'https:') record.protocol = 'wss:';
  // 5. If urlRecord's scheme is not "ws" or "wss", then throw a "SyntaxError" DOMException.
  if (record.protocol !== 'ws:' && record.protocol !== 'wss:') {
    throw syntaxError(`the scheme of a WebSocket URL cannot be ${JSON.stringify(record.protocol)}`);
  }
  // 6. If urlRecord's fragment is non-null, then throw a "SyntaxError" DOMException.
  // An empty one is not null, but `hash` is '' for both; '#' stands nowhere else in a serialized URL.
  if (record.href.includes('#')) throw syntaxError('a WebSocket URL cannot have a fragment');
  // 7. Return urlRecord.
  return record;
}

/**
 * The step that constructors have in common: "If any of the values in protocols occur more than once or
 * otherwise fail to match the requirements for elements that comprise the value of
 * `Sec-WebSocket-Protocol` fields, then throw a "SyntaxError" DOMException."
 * @throws {DOMException} SyntaxError
 */
export function checkSubprotocols(protocols: readonly string[]): void {
  const seen = new Set<string>();
  for (const protocol of protocols) {
    const shown = JSON.stringify(protocol);
    if (!SUBPROTOCOL.test(protocol)) throw syntaxError(`${shown} cannot name a subprotocol`);
    if (seen.has(protocol)) throw syntaxError(`the subprotocol ${shown} is there twice`);
    seen.add(protocol);
  }
}
