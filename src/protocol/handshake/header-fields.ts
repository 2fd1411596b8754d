import { asciiLowerCase, trimOws } from './header-syntax.ts';

const none: readonly string[] = [];

/**
 * The header fields of one request or response. Names are case-insensitive; a field that came twice
 * is kept twice, since a rule that says "exactly once" needs to see it.
 */
export class HeaderFields {
  /** How many fields there are, each line counted. */
  readonly count: number;
  // A Map, not an object: `constructor` and `__proto__` are names like any other.
  readonly #fields = new Map<string, string[]>();

  /** @param raw name, value, name, value, as in `rawHeaders` of Node. */
  constructor(raw: readonly string[]) {
    this.count = raw.length >>> 1;
    for (let at = 1; at < raw.length; at += 2) {
      const name = asciiLowerCase(raw[at - 1]);
      // RFC 9110 5.5: whitespace around a value is not part of it.
      const value = trimOws(raw[at]);
      const values = this.#fields.get(name);
      if (values === undefined) this.#fields.set(name, [value]);
      else values.push(value);
    }
  }

  /** The values of a field, line by line; empty when it is absent. `name` is in lower case. */
  values(name: string): readonly string[] {
    return this.#fields.get(name) ?? none;
  }

  /** The value of a field that came exactly once, otherwise undefined. `name` is in lower case. */
  single(name: string): string | undefined {
    const values = this.values(name);
    return values.length === 1 ? values[0] : undefined;
  }

  /**
   * Whether the comma-separated list that all lines of a field make together has `token`, whatever
   * its case (RFC 9110 5.6.1). `name` and `token` are in lower case.
   */
  hasToken(name: string, token: string): boolean {
    return this.values(name).some((line) =>
      line.split(',').some((element) => asciiLowerCase(trimOws(element)) === token),
    );
  }
}
