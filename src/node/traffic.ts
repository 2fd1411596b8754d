/** What has passed, over all connections that share it. */
export interface Traffic {
  /** Bytes as they came, frame headers included. */
  bytesReceived: number;
  bytesSent: number;
  messagesReceived: number;
  /** Messages handed to connections, those published once for each subscriber. */
  messagesSent: number;
}

export function newTraffic(): Traffic {
  return { bytesReceived: 0, bytesSent: 0, messagesReceived: 0, messagesSent: 0 };
}
