import { formatDuration, parseDuration } from '../duration.ts';

/** The parsed value, or a description of valid ones. */
export type Parsed<T> = { readonly value: T } | { readonly expected: string };
export type Parse<T> = (text: string) => Parsed<T>;

/**
 * One setting: a flag, usually an environment variable of the same name, and the parser of its text. `T` includes
 * `undefined` if the setting is optional.
 */
export interface Setting<T> {
  /** Kebab-case, without dashes in front. */
  readonly flag: string;
  /** Environment variable; the flag overrides it. */
  readonly env?: string;
  readonly help: string;
  /** Name of the value in help texts; undefined for a toggle. */
  readonly placeholder?: string;
  /** The default as help shows it. */
  readonly fallbackText?: string;
  /** Parses all given texts, in order; `undefined`: none was given. */
  readonly read: (texts: readonly string[] | undefined) => Parsed<T> | { readonly missing: true };
  readonly isRepeatable: boolean;
}

export interface SettingNames {
  readonly flag: string;
  readonly env?: string;
  readonly help: string;
  readonly placeholder?: string;
}

/** A setting with a default. If repeated, the last one counts. */
export function setting<T>(names: SettingNames, parse: Parse<T>, fallback: T, fallbackText?: string): Setting<T> {
  return {
    placeholder: 'VALUE',
    ...names,
    isRepeatable: false,
    fallbackText: fallbackText ?? String(fallback),
    read: (texts) => (texts === undefined ? { value: fallback } : parse(texts.at(-1) ?? '')),
  };
}

/** An optional setting; undefined by default. */
export function optional<T>(names: SettingNames, parse: Parse<T>): Setting<T | undefined> {
  return {
    placeholder: 'VALUE',
    ...names,
    isRepeatable: false,
    read: (texts) => (texts === undefined ? { value: undefined } : parse(texts.at(-1) ?? '')),
  };
}

/** A required setting. */
export function required<T>(names: SettingNames, parse: Parse<T>): Setting<T> {
  return {
    placeholder: 'VALUE',
    ...names,
    isRepeatable: false,
    read: (texts) => (texts === undefined ? { missing: true } : parse(texts.at(-1) ?? '')),
  };
}

/** A repeatable setting; its environment variable separates the values by spaces. */
export function repeated<T>(
  names: SettingNames,
  parse: Parse<T>,
  fallback: readonly T[],
  fallbackText?: string,
): Setting<readonly T[]> {
  return {
    placeholder: 'VALUE',
    ...names,
    isRepeatable: true,
    ...(fallbackText === undefined ? {} : { fallbackText }),
    read: (texts) => {
      if (texts === undefined) return { value: fallback };
      const values: T[] = [];
      for (const text of texts) {
        const parsed = parse(text);
        if ('expected' in parsed) return { expected: parsed.expected };
        values.push(parsed.value);
      }
      return { value: values };
    },
  };
}

const toggleWords: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['yes', true],
  ['false', false],
  ['0', false],
  ['no', false],
]);

/** On or off: `--flag`, `--no-flag`, or `true`, `1`, `yes`, `false`, `0`, `no`. */
export function toggle(names: Omit<SettingNames, 'placeholder'>, fallback = false): Setting<boolean> {
  return {
    ...names,
    isRepeatable: false,
    ...(fallback ? { fallbackText: 'on' } : {}),
    read: (texts) => {
      if (texts === undefined) return { value: fallback };
      const value = toggleWords.get((texts.at(-1) ?? '').toLowerCase());
      return value === undefined ? { expected: 'true or false' } : { value };
    },
  };
}

export const text: Parse<string> = (value) => ({ value });

export const path: Parse<string> = (value) => (value === '' ? { expected: 'a path' } : { value });

export function matching(pattern: RegExp, expected: string): Parse<string> {
  return (value) => (pattern.test(value) ? { value } : { expected });
}

export function duration({ minMs = 0, maxMs = 86_400_000 }: { minMs?: number; maxMs?: number } = {}): Parse<number> {
  return (value) => {
    const ms = parseDuration(value);
    if (ms === undefined) return { expected: 'a duration such as 500ms, 5s or 2m' };
    if (ms < minMs || ms > maxMs)
      return { expected: `a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}` };
    return { value: ms };
  };
}

export function integer(min: number, max: number): Parse<number> {
  return (value) => {
    const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    return number >= min && number <= max ? { value: number } : { expected: `a whole number from ${min} to ${max}` };
  };
}

export function oneOf<const T extends string>(words: readonly T[]): Parse<T> {
  return (value) => {
    const word = words.find((candidate) => candidate === value);
    return word === undefined ? { expected: words.join(', ') } : { value: word };
  };
}

/** The instance metadata service does not use TLS. */
export const plainHttpUrl: Parse<URL> = (value) => {
  const url = URL.parse(value);
  return url?.protocol === 'http:' ? { value: url } : { expected: 'an http:// address, without TLS' };
};

export const httpUrl: Parse<URL> = (value) => {
  const url = URL.parse(value);
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  return url !== null && isHttp ? { value: url } : { expected: 'an http:// or https:// address' };
};
