/** Who was entered on this node, how often: what a node's presence stands for, with any engine. */
export class LocalMembers {
  readonly #topics = new Map<string, Map<string, number>>();

  /** Whether it is the first of the member on this node. */
  enter(topic: string, member: string): boolean {
    let members = this.#topics.get(topic);
    if (members === undefined) {
      members = new Map();
      this.#topics.set(topic, members);
    }
    const count = members.get(member) ?? 0;
    members.set(member, count + 1);
    return count === 0;
  }

  /** Whether it was the last of the member on this node; false where it is not here. */
  leave(topic: string, member: string): boolean {
    const members = this.#topics.get(topic);
    const count = members?.get(member);
    if (members === undefined || count === undefined) return false;
    if (count > 1) {
      members.set(member, count - 1);
      return false;
    }
    members.delete(member);
    if (members.size === 0) this.#topics.delete(topic);
    return true;
  }

  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** In the order of their coming. */
  members(topic: string): readonly string[] {
    return [...(this.#topics.get(topic)?.keys() ?? [])];
  }

  /** Those with a member. */
  topics(): readonly string[] {
    return [...this.#topics.keys()];
  }

  clear(): void {
    this.#topics.clear();
  }
}
