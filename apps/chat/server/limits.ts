/** What one visitor and all of them together may use. Sizes are UTF-8 bytes where they say bytes. */
export interface ChatLimits {
  /** Longest name, in Unicode code points. */
  readonly nameCharacters: number;
  /** Longest room name, in Unicode code points. */
  readonly roomCharacters: number;
  /** Longest text of a message, in bytes. */
  readonly textBytes: number;
  /** Messages that a connection may send a second in the long run, and at once. */
  readonly messagesPerSecond: number;
  /** Rooms that a connection may be in. */
  readonly roomsPerConnection: number;
  /** Messages of a room that who joins is given. */
  readonly historyMessages: number;
  /** Messages of a room whose ids are known again when they are resent. */
  readonly rememberedMessages: number;
  /** How long an engine that the servers share keeps a room's messages. */
  readonly rememberedMs: number;
  /** Rooms that people on one server may be in. */
  readonly rooms: number;
  /**
   * What the messages of all rooms may take together, in bytes, about: those that the server has at hand for who joins,
   * and once more those of a history in memory.
   */
  readonly memoryBytes: number;
}

export const defaultChatLimits: ChatLimits = {
  nameCharacters: 32,
  roomCharacters: 64,
  textBytes: 4096,
  messagesPerSecond: 20,
  roomsPerConnection: 100,
  historyMessages: 100,
  rememberedMessages: 1000,
  rememberedMs: 7 * 24 * 60 * 60 * 1000,
  rooms: 1000,
  memoryBytes: 64 * 1024 * 1024,
};

/**
 * A longer message is refused unread. No valid one is: a text of 4 KiB with each byte escaped as
 * `\u0000` takes 24 KiB.
 */
export const maxUnparsedBytes: number = 32 * 1024;
