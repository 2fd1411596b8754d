/** Opcodes of a frame (RFC 6455 5.2). Bit 3 set means a control frame. */
export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

/** Control frames are those whose opcode has its highest bit set (RFC 6455 5.5). */
export const CONTROL_BIT = 0x8;
