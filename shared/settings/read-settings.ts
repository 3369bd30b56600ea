import type { Setting } from './setting.ts';

export type Settings = Readonly<Record<string, Setting<unknown>>>;
/** The settings of `Config`, one per field. */
export type SettingsFor<Config> = { readonly [K in keyof Config]-?: Setting<Config[K]> };
export type Values<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** An actionable line, and the source of the invalid value. */
export interface Problem {
  readonly origin: 'flag' | 'environment';
  readonly message: string;
}

export type ReadSettings<S extends Settings> =
  | { readonly kind: 'settings'; readonly values: Values<S>; readonly rest: readonly string[] }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] };

export interface SettingsSource {
  /** Arguments after the program's own name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a command may follow the flags, after `--` or without it. Otherwise a positional argument is a problem. */
  readonly takesCommand?: boolean;
}

/**
 * Reads every setting from flags and environment and reports all problems together. A flag overrides its environment
 * variable. An empty environment variable counts as unset, because manifests cannot omit a variable conditionally.
 */
export function readSettings<S extends Settings>(settings: S, source: SettingsSource): ReadSettings<S> {
  const given = readFlags(settings, source);
  if (given.texts.has('help')) return { kind: 'help' };
  if (given.texts.has('version')) return { kind: 'version' };
  const problems = [...given.problems];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const flagTexts = given.texts.get(setting.flag);
    const texts = flagTexts ?? readEnvironment(setting, source.env);
    const read = setting.read(texts);
    if ('value' in read) values[name] = read.value;
    else if (!given.withoutValue.has(setting.flag))
      problems.push(describeProblem(setting, texts, flagTexts !== undefined, read));
  }
  if (problems.length > 0) return { kind: 'problems', problems };
  return { kind: 'settings', values: values as Values<S>, rest: given.rest };
}

function readEnvironment(setting: Setting<unknown>, env: SettingsSource['env']): readonly string[] | undefined {
  const text = setting.env === undefined ? undefined : env[setting.env];
  if (text === undefined || text.trim() === '') return undefined;
  return setting.isRepeatable ? text.trim().split(/\s+/) : [text];
}

function describeProblem(
  setting: Setting<unknown>,
  texts: readonly string[] | undefined,
  isFlag: boolean,
  read: { readonly expected: string } | { readonly missing: true },
): Problem {
  const { flag, env, help } = setting;
  const origin = isFlag ? 'flag' : 'environment';
  if ('missing' in read)
    return { origin, message: `Missing ${env === undefined ? `--${flag}` : `--${flag} or ${env}`}: ${help}` };
  // The first invalid one of several values.
  const wrong = texts?.find((text) => 'expected' in setting.read([text])) ?? texts?.at(-1) ?? '';
  return { origin, message: `Invalid ${isFlag ? `--${flag}` : env} ${quote(wrong)}: expected ${read.expected}` };
}

const maxQuote = 200;

function quote(text: string): string {
  return JSON.stringify(text.length <= maxQuote ? text : `${text.slice(0, maxQuote)}...`);
}

interface GivenFlags {
  /** Values by flag, in order. */
  readonly texts: Map<string, string[]>;
  /** Flags without a value, which are already reported. */
  readonly withoutValue: Set<string>;
  rest: readonly string[];
  readonly problems: Problem[];
}

/** Accepts `--flag value`, `--flag=value`, `--flag` and `--no-flag` of a toggle. `--` or a command ends the flags. */
function readFlags(settings: Settings, { argv, takesCommand = false }: SettingsSource): GivenFlags {
  const byFlag = new Map(Object.values(settings).map((setting) => [setting.flag, setting]));
  const given: GivenFlags = { texts: new Map(), withoutValue: new Set(), rest: [], problems: [] };
  const refuse = (message: string) => given.problems.push({ origin: 'flag', message });
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    if (argument === '--' || (takesCommand && !isFlag(argument))) {
      given.rest = argv.slice(argument === '--' ? at + 1 : at);
      break;
    }
    const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(argument === '-h' ? '--help' : argument) ?? [];
    if (name === undefined) refuse(`Unexpected argument ${quote(argument)}: expected flags only`);
    else if (takeFlag(given, byFlag, name, inline, argv[at + 1])) at++;
  }
  if (!takesCommand)
    for (const argument of given.rest) refuse(`Unexpected argument ${quote(argument)}: expected flags only`);
  return given;
}

/**
 * Whether the next argument was used as the flag's value. It may not look like a flag; use `--flag=-x` for such values.
 */
function takeFlag(
  given: GivenFlags,
  byFlag: ReadonlyMap<string, Setting<unknown>>,
  name: string,
  inline: string | undefined,
  next: string | undefined,
): boolean {
  const add = (flag: string, text: string) => given.texts.set(flag, [...(given.texts.get(flag) ?? []), text]);
  const refuse = (message: string) => given.problems.push({ origin: 'flag', message });
  const known = byFlag.get(name);
  const toggled = name.startsWith('no-') ? byFlag.get(name.slice(3)) : undefined;
  if (known === undefined) {
    if (name === 'help' || name === 'version') add(name, '');
    else if (toggled === undefined || toggled.placeholder !== undefined)
      refuse(`Unknown flag ${quote(`--${name}`)}: see --help`);
    else if (inline === undefined) add(toggled.flag, 'false');
    else refuse(`Unexpected value ${quote(inline)} of --${name}: expected none`);
    return false;
  }
  if (known.placeholder === undefined || inline !== undefined) {
    add(name, inline ?? 'true');
    return false;
  }
  if (next !== undefined && !isFlag(next)) {
    add(name, next);
    return true;
  }
  given.withoutValue.add(name);
  refuse(`Missing value of --${name}: expected ${known.placeholder}`);
  return false;
}

/** A lone dash (standard input) and negative numbers are values. */
function isFlag(argument: string): boolean {
  return /^-[^\d]/.test(argument);
}
