/**
 * Something that takes steps and can be given up meanwhile: what an AbortController is, but lighter, as there is one
 * for each handshake.
 */
export class Attempt {
  /** Stops the step that is waited for now; each step sets its own. */
  stop: () => void = () => {};
  #end: { readonly reason: unknown } | undefined = undefined;

  giveUp(reason: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { reason };
    this.stop();
  }

  get isGivenUp(): boolean {
    return this.#end !== undefined;
  }

  get reason(): unknown {
    return this.#end?.reason;
  }

  throwIfGivenUp(): void {
    if (this.#end !== undefined) throw this.#end.reason;
  }
}
