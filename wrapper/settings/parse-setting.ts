import { parseDuration } from '../../shared/duration.ts';
import type { PortProtocol } from '../../shared/events/event.ts';
import type { Parse } from '../../shared/settings/setting.ts';
import { type ForwardedSignal, isForwardedSignal } from '../signal-numbers.ts';

/** `SERVER_PORT=udp`, with a fixed number `SERVER_PORT=udp:27015`, and for three adjacent ports `GAME=udp*3`. */
export interface PortRequest {
  readonly name: string;
  readonly protocol: PortProtocol;
  /** Number of adjacent ports. */
  readonly count: number;
  /** undefined: any free one of the range. */
  readonly pinned: number | undefined;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** One thing to do to the game or its players. */
export type Action =
  | { readonly kind: 'signal'; readonly signal: ForwardedSignal | 'SIGKILL' }
  /** Write a line to the game's standard input. */
  | { readonly kind: 'stdin'; readonly text: string }
  /** Run a shell command. */
  | { readonly kind: 'exec'; readonly command: string }
  | { readonly kind: 'wait'; readonly ms: number };

export type ReadyRule =
  /** The game has bound these ports; without names: the first port, with any of its protocols. */
  | { readonly kind: 'bound'; readonly names: readonly string[] }
  | { readonly kind: 'tcp'; readonly name: string | undefined }
  | { readonly kind: 'log'; readonly pattern: RegExp }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'delay'; readonly ms: number }
  /** The game has called Ready() on the SDK server. */
  | { readonly kind: 'sdk' };

export interface Template {
  readonly source: string;
  readonly destination: string;
}

/** One `key=value` line of a properties file. */
export interface Property {
  readonly file: string;
  readonly key: string;
  readonly value: string;
}

/** The requests for each single port: `GAME`, `GAME_2`, `GAME_3`. */
export function singlePorts({ name, protocol, count, pinned }: PortRequest): readonly PortRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    name: index === 0 ? name : `${name}_${index + 1}`,
    protocol,
    count: 1,
    pinned: pinned === undefined ? undefined : pinned + index,
  }));
}

/** More than any game needs. */
const maxAdjacentPorts = 16;

const portName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

export const portRequest: Parse<PortRequest> = (text) => {
  const expected =
    'NAME=udp, tcp or udp+tcp, with *COUNT for adjacent ports (GAME=udp*3), with :PORT to pin it (SERVER_PORT=udp:27015)';
  const match = /^([^=]+)=(udp|tcp|udp\+tcp)(?:\*(\d{1,2}))?(?::(\d{1,5}))?$/.exec(text);
  const [, name = '', protocol, times = '1', digits] = match ?? [];
  if (match === null || !portName.test(name)) return { expected };
  const count = Number(times);
  if (count < 1 || count > maxAdjacentPorts) return { expected: `${expected}; a count is 1 to ${maxAdjacentPorts}` };
  const pinned = digits === undefined ? undefined : Number(digits);
  if (pinned !== undefined && !(isPort(pinned) && isPort(pinned + count - 1)))
    return { expected: `${expected}; a port is 1 to 65535` };
  if (name.startsWith('SPOTABLE_')) return { expected: `${expected}; names in SPOTABLE_ are taken` };
  return { value: { name, protocol: protocol as PortProtocol, count, pinned } };
};

export const portRange: Parse<PortRange> = (text) => {
  const [, first = 0, last = 0] = (/^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []).map(Number);
  const isRange = isPort(first) && isPort(last) && first <= last;
  return isRange ? { value: { first, last } } : { expected: 'FIRST-LAST such as 20000-29999, each 1 to 65535' };
};

export const action: Parse<Action> = (text) => {
  const expected = 'signal:SIGTERM, stdin:TEXT, exec:COMMAND or wait:5s';
  const [, kind, rest = ''] = /^(signal|stdin|exec|wait):(.+)$/s.exec(text) ?? [];
  switch (kind) {
    case 'signal': {
      const name = rest.startsWith('SIG') ? rest : `SIG${rest}`;
      if (name === 'SIGKILL' || isForwardedSignal(name)) return { value: { kind, signal: name } };
      return { expected: `${expected}; ${JSON.stringify(rest)} is no signal that can be sent` };
    }
    case 'stdin':
      return { value: { kind, text: rest } };
    case 'exec':
      return { value: { kind, command: rest } };
    case 'wait': {
      const ms = parseDuration(rest);
      return ms === undefined ? { expected } : { value: { kind, ms } };
    }
    default:
      return { expected };
  }
};

export const readyRule: Parse<ReadyRule> = (text) => {
  const expected = 'bound, bound:NAME,NAME, tcp, tcp:NAME, log:REGEX, file:PATH, delay:5s or sdk';
  const [, kind, rest = ''] = /^(\w+)(?::(.*))?$/s.exec(text) ?? [];
  switch (kind) {
    case 'bound':
      return { value: { kind, names: rest === '' ? [] : rest.split(',') } };
    case 'tcp':
      return { value: { kind, name: rest === '' ? undefined : rest } };
    case 'log':
      return rest === '' ? { expected } : logRule(rest);
    case 'file':
      return rest === '' ? { expected } : { value: { kind, path: rest } };
    case 'delay': {
      const ms = parseDuration(rest);
      return ms === undefined ? { expected } : { value: { kind, ms } };
    }
    case 'sdk':
      return rest === '' ? { value: { kind } } : { expected };
    default:
      return { expected };
  }
};

function logRule(source: string): ReturnType<Parse<ReadyRule>> {
  try {
    return { value: { kind: 'log', pattern: new RegExp(source) } };
  } catch (error) {
    return { expected: `log: and a regular expression (${error instanceof Error ? error.message : String(error)})` };
  }
}

export const template: Parse<Template> = (text) => {
  const [, source = '', destination = ''] = /^([^:]+):([^:]+)$/.exec(text) ?? [];
  return source === '' ? { expected: 'SOURCE:DESTINATION, two paths' } : { value: { source, destination } };
};

export const property: Parse<Property> = (text) => {
  const [, file = '', key = '', value = ''] = /^([^:]+):([^=\s]+)=([^\n]*)$/.exec(text) ?? [];
  return file === '' ? { expected: 'FILE:KEY=VALUE' } : { value: { file, key, value } };
};

export const label: Parse<readonly [string, string]> = (text) => {
  const [, key = '', value = ''] = /^([\w./-]{1,63})=(.{0,256})$/s.exec(text) ?? [];
  return key === '' ? { expected: 'KEY=VALUE' } : { value: [key, value] };
};

function isPort(number: number): boolean {
  return number >= 1 && number <= 65_535;
}
