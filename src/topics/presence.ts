/**
 * Who is in a topic, on all nodes. A member is a name, present as long as it has been entered more often than left, on
 * any node. What a node has entered expires when the node is gone without a word.
 */
export interface Presence {
  /**
   * Enters a member on this node. Resolves to whether it is new: on no node before.
   * @throws {ApertoError} ENGINE_AWAY: it is entered on this node all the same, and on all once the engine is back;
   * INVALID_TOPIC; INVALID_OPTION for a member that is empty or no well-formed Unicode. After `close`, ENGINE_AWAY alone.
   */
  enter(topic: string, member: string): Promise<boolean>;
  /**
   * Takes back one `enter` of this node. Resolves to whether the member is gone: on no node any more. Without effect
   * where it is not entered here.
   * @throws {ApertoError} as `enter`
   */
  leave(topic: string, member: string): Promise<boolean>;
  /**
   * Everyone, each once, in the order of their coming as far as the engine knows it.
   * @throws {ApertoError} ENGINE_AWAY, INVALID_TOPIC
   */
  members(topic: string): Promise<readonly string[]>;
  /** Takes back all that this node has entered, as far as the engine can be reached, and ends. Never rejects. */
  close(): Promise<void>;
}

export interface PresenceOptions {
  /** How long after its last sign a node counts as gone. Default 30,000 ms. */
  readonly ttlMs?: number;
  /**
   * Members of nodes that were gone without a word have been taken out of a topic that this node has members in. One node is
   * told of each.
   */
  readonly onGone?: (topic: string, members: readonly string[]) => void;
}
