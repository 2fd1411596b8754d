/** A promise and what settles it. Node has `Promise.withResolvers` only from 22 on. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  #resolve: (value: T) => void = () => {};
  #reject: (reason: unknown) => void = () => {};

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  resolve(value: T): void {
    this.#resolve(value);
  }

  reject(reason: unknown): void {
    this.#reject(reason);
  }

  /** Who does not look at it is not told of its rejection ([[PromiseIsHandled]]). */
  markAsHandled(): this {
    this.promise.catch(() => {});
    return this;
  }
}
