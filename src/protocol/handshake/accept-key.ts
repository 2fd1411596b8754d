import type { Platform } from '../platform.ts';

// RFC 6455 1.3: the GUID that only a WebSocket server adds to the key.
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Whether a Sec-WebSocket-Key decodes to sixteen bytes (RFC 6455 4.2.1). */
export function isValidKey(key: string): boolean {
  return /^[A-Za-z0-9+/]{22}==$/.test(key);
}

/** The Sec-WebSocket-Accept that answers a key (RFC 6455 4.2.2). */
export function acceptFor(key: string, platform: Platform): string {
  return platform.sha1Base64(key + GUID);
}

/** A new Sec-WebSocket-Key: sixteen random bytes in base64 (RFC 6455 4.1). */
export function createKey(platform: Platform): string {
  const bytes = new Uint8Array(16);
  platform.fillRandom(bytes);
  let key = '';
  for (let at = 0; at < 15; at += 3) {
    const bits = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    key += BASE64[bits >>> 18] + BASE64[(bits >>> 12) & 63] + BASE64[(bits >>> 6) & 63];
    key += BASE64[bits & 63];
  }
  // RFC 4648 4: one byte is left, which makes two characters and two of padding.
  return `${key}${BASE64[bytes[15] >>> 2]}${BASE64[(bytes[15] & 3) << 4]}==`;
}
