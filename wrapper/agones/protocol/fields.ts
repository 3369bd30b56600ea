/** A message in the protocol's JSON form, with any content that a caller may send. */
export type Message = Readonly<Record<string, unknown>>;

const minInt64 = -(2n ** 63n);
const maxInt64 = 2n ** 63n - 1n;

/**
 * Reads a message's fields by the rules of protobuf's JSON: unknown fields are ignored, and missing or null ones have
 * their type's default.
 */
export class Fields {
  readonly #message: Message;
  #problem: string | undefined;

  constructor(message: Message) {
    this.#message = message;
  }

  /** The first field that does not fit its type; undefined: all fields read so far are valid. */
  get problem(): string | undefined {
    return this.#problem;
  }

  text(name: string): string {
    const value = this.#get(name) ?? '';
    return typeof value === 'string' ? value : this.#wrong(name, 'a text', '');
  }

  texts(name: string): readonly string[] {
    const values = this.#get(name) ?? [];
    const areTexts = Array.isArray(values) && values.every((value) => typeof value === 'string');
    return areTexts ? values : this.#wrong(name, 'a list of texts', []);
  }

  int64(name: string): bigint {
    return this.optionalInt64(name) ?? 0n;
  }

  /** Accepts a number as well as a text, if JavaScript represents the number exactly. */
  optionalInt64(name: string): bigint | undefined {
    const value = this.#get(name) ?? undefined;
    if (value === undefined) return undefined;
    const isWhole = typeof value === 'number' ? Number.isSafeInteger(value) : /^-?\d{1,19}$/.test(String(value));
    if (!isWhole || (typeof value !== 'string' && typeof value !== 'number'))
      return this.#wrong(name, 'a whole number in quotes', undefined);
    const number = BigInt(value);
    if (number < minInt64 || number > maxInt64) return this.#wrong(name, 'a number of 64 bits', undefined);
    return number;
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#message, name) ? this.#message[name] : undefined;
  }

  #wrong<T>(name: string, expected: string, fallback: T): T {
    this.#problem ??= `invalid value for field ${name}: expected ${expected}`;
    return fallback;
  }
}
