import { parseArgs } from 'node:util';
import type { Setting } from './setting.ts';

export type Settings = Readonly<Record<string, Setting<unknown>>>;
/** The settings that read as `Config`: one for each of its fields. */
export type SettingsFor<Config> = { readonly [K in keyof Config]-?: Setting<Config[K]> };
export type Values<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** One line a person can act on, and where the wrong value came from. */
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
  /** Whether arguments may follow the flags (a command after `--`). Otherwise each is a problem. */
  readonly takesCommand?: boolean;
}

/**
 * Reads every setting from flags and environment and reports all problems together. A flag wins over its environment
 * variable; an empty environment variable counts as not set, because manifests cannot leave a variable out conditionally.
 */
export function readSettings<S extends Settings>(settings: S, source: SettingsSource): ReadSettings<S> {
  const given = readFlags(settings, source.argv);
  if (given.texts.has('help')) return { kind: 'help' };
  if (given.texts.has('version')) return { kind: 'version' };
  const problems = [...given.problems];
  if (source.takesCommand !== true)
    for (const argument of given.rest)
      problems.push({
        origin: 'flag',
        message: `Unexpected argument ${JSON.stringify(argument)}: expected flags only`,
      });
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const flagTexts = given.texts.get(setting.flag);
    const envText = setting.env === undefined ? undefined : source.env[setting.env] || undefined;
    const read = setting.read(flagTexts ?? splitEnv(setting, envText));
    if ('value' in read) values[name] = read.value;
    else problems.push(describeProblem(setting, flagTexts, envText, read));
  }
  if (problems.length > 0) return { kind: 'problems', problems };
  return { kind: 'settings', values: values as Values<S>, rest: given.rest };
}

function splitEnv(setting: Setting<unknown>, envText: string | undefined): readonly string[] | undefined {
  if (envText === undefined) return undefined;
  return setting.isRepeatable ? envText.split(/\s+/).filter((part) => part !== '') : [envText];
}

function describeProblem(
  setting: Setting<unknown>,
  flagTexts: readonly string[] | undefined,
  envText: string | undefined,
  read: { readonly expected: string } | { readonly missing: true },
): Problem {
  const names = setting.env === undefined ? `--${setting.flag}` : `--${setting.flag} or ${setting.env}`;
  if ('missing' in read) return { origin: 'environment', message: `Missing ${names}: ${setting.help}` };
  const isFlag = flagTexts !== undefined;
  const name = isFlag ? `--${setting.flag}` : setting.env;
  const value = isFlag ? wrongText(setting, flagTexts) : envText;
  return {
    origin: isFlag ? 'flag' : 'environment',
    message: `Invalid ${name} ${JSON.stringify(value)}: expected ${read.expected}`,
  };
}

function wrongText(setting: Setting<unknown>, texts: readonly string[]): string | undefined {
  return texts.find((text) => 'expected' in setting.read([text])) ?? texts.at(-1);
}

interface GivenFlags {
  readonly texts: Map<string, string[]>;
  readonly rest: string[];
  readonly problems: Problem[];
}

function readFlags(settings: Settings, argv: readonly string[]): GivenFlags {
  const byFlag = new Map(Object.values(settings).map((setting) => [setting.flag, setting]));
  const options = Object.fromEntries(
    [...byFlag].map(([flag, { placeholder }]) => [
      flag,
      { type: placeholder === undefined ? ('boolean' as const) : ('string' as const), multiple: true },
    ]),
  );
  const terminator = argv.indexOf('--');
  const flags = terminator < 0 ? argv : argv.slice(0, terminator);
  const { tokens } = parseArgs({
    args: [...flags],
    options: { ...options, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const given: GivenFlags = { texts: new Map(), rest: [], problems: [] };
  for (const token of tokens) {
    if (token.kind === 'positional') given.rest.push(token.value);
    if (token.kind === 'option') addFlag(given, byFlag, token.name, token.value, token.rawName);
  }
  if (terminator >= 0) given.rest.push(...argv.slice(terminator + 1));
  return given;
}

function addFlag(
  given: GivenFlags,
  byFlag: ReadonlyMap<string, Setting<unknown>>,
  name: string,
  value: string | undefined,
  rawName: string,
): void {
  const add = (flag: string, text: string) => given.texts.set(flag, [...(given.texts.get(flag) ?? []), text]);
  const known = byFlag.get(name);
  const negated = name.startsWith('no-') ? byFlag.get(name.slice(3)) : undefined;
  if (name === 'help' || name === 'version') add(name, 'true');
  else if (known !== undefined && known.placeholder === undefined) add(name, value ?? 'true');
  else if (known !== undefined && value !== undefined) add(name, value);
  else if (known !== undefined)
    given.problems.push({ origin: 'flag', message: `Missing value of --${name}: expected ${known.placeholder}` });
  else if (negated !== undefined && negated.placeholder === undefined) add(negated.flag, 'false');
  else given.problems.push({ origin: 'flag', message: `Unknown flag ${rawName}: see --help` });
}
