/**
 * An event handler IDL attribute
 * (https://html.spec.whatwg.org/multipage/webappapis.html#event-handler-idl-attributes): the handler takes its
 * turn among the listeners from when one was first set, until it is set to null.
 *
 * @typeParam H functions of the type that the attribute has. Any other object is kept, and does nothing.
 */
export class EventHandler<H extends object> {
  readonly #target: EventTarget;
  readonly #type: string;
  #value: H | null = null;
  readonly #listener = (event: Event): void => {
    // What it returns could only cancel, and these events cannot be cancelled.
    if (typeof this.#value === 'function') Reflect.apply(this.#value, this.#target, [event]);
  };

  constructor(target: EventTarget, type: string) {
    this.#target = target;
    this.#type = type;
  }

  get value(): H | null {
    return this.#value;
  }

  set value(value: H | null) {
    const before = this.#value;
    const isObject = typeof value === 'function' || (typeof value === 'object' && value !== null);
    this.#value = isObject ? value : null;
    if (before === null && isObject) this.#target.addEventListener(this.#type, this.#listener);
    if (before !== null && !isObject) this.#target.removeEventListener(this.#type, this.#listener);
  }
}
