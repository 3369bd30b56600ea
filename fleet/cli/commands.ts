import type { SettingsFor } from '../../shared/settings/read-settings.ts';
import {
  duration,
  oneOf,
  optional,
  type Parse,
  path,
  repeated,
  required,
  setting,
  text,
  toggle,
} from '../../shared/settings/setting.ts';
import { objectName } from '../config.ts';

export interface ShowConfig {
  readonly namespace: string;
  readonly json: boolean;
  readonly watch: boolean;
}

export interface AllocateConfig {
  readonly namespace: string;
  readonly json: boolean;
  readonly file: string | undefined;
  readonly session: string | undefined;
  readonly label: readonly (readonly [string, string])[];
  readonly annotation: readonly (readonly [string, string])[];
  readonly scheduling: 'Packed' | 'Distributed';
  readonly timeoutMs: number;
}

export interface ShiftConfig {
  readonly namespace: string;
  readonly json: boolean;
  readonly from: string;
  readonly to: string;
  readonly step: number;
  readonly until: number;
  readonly readyMs: number;
}

export interface FileConfig {
  readonly file: string;
}

const namespace = setting(
  { flag: 'namespace', env: 'NAMESPACE', placeholder: 'NAME', help: 'namespace of the fleets' },
  objectName,
  'default',
);
const json = toggle({
  flag: 'json',
  help: 'JSON in place of a table; with --watch one document a line at each change',
});

/** `25%`, above 0 and at most 100. */
export const share: Parse<number> = (value) => {
  const percent = /^\d{1,3}(\.\d+)?%$/.test(value) ? Number.parseFloat(value) : Number.NaN;
  return percent > 0 && percent <= 100 ? { value: percent / 100 } : { expected: 'a share from 1% to 100%' };
};

const keyValue: Parse<readonly [string, string]> = (value) => {
  const at = value.indexOf('=');
  return at > 0 ? { value: [value.slice(0, at), value.slice(at + 1)] } : { expected: 'KEY=VALUE' };
};

/** `game=arena,version=2`: the labels of one selector; empty: any game server. */
export const labelSelector: Parse<Readonly<Record<string, string>>> = (value) => {
  const pairs = value.split(',').filter((part) => part !== '');
  const read = pairs.map((pair) => keyValue(pair));
  if (read.some((pair) => 'expected' in pair)) return { expected: 'KEY=VALUE,KEY=VALUE' };
  return { value: Object.fromEntries(read.flatMap((pair) => ('value' in pair ? [pair.value] : []))) };
};

export const showSettings: SettingsFor<ShowConfig> = {
  namespace,
  json,
  watch: toggle({ flag: 'watch', help: 'go on showing it until Ctrl-C' }),
};

export const allocateSettings: SettingsFor<AllocateConfig> = {
  namespace,
  json,
  file: optional(
    { flag: 'file', placeholder: 'FILE', help: 'a GameServerAllocation as Agones has it (YAML or JSON; - for stdin)' },
    path,
  ),
  session: optional(
    { flag: 'session', placeholder: 'ID', help: 'asked again with the same id the answer is the same game server' },
    text,
  ),
  label: repeated({ flag: 'label', placeholder: 'KEY=VALUE', help: 'label that the game server gets' }, keyValue, []),
  annotation: repeated(
    { flag: 'annotation', placeholder: 'KEY=VALUE', help: 'annotation that the game server gets' },
    keyValue,
    [],
  ),
  scheduling: setting(
    { flag: 'scheduling', placeholder: 'WORD', help: 'Packed or Distributed' },
    oneOf(['Packed', 'Distributed']),
    'Packed' as const,
  ),
  timeoutMs: setting(
    { flag: 'timeout', placeholder: 'DURATION', help: 'for all of it' },
    duration({ minMs: 100, maxMs: 600_000 }),
    15_000,
    '15s',
  ),
};

export const shiftSettings: SettingsFor<ShiftConfig> = {
  namespace,
  json,
  from: required({ flag: 'from', placeholder: 'FLEET', help: 'the fleet that gets smaller' }, objectName),
  to: required({ flag: 'to', placeholder: 'FLEET', help: 'the fleet that gets larger' }, objectName),
  step: setting(
    { flag: 'step', placeholder: 'SHARE', help: 'share of the warm game servers that moves at a time' },
    share,
    0.25,
    '25%',
  ),
  until: setting(
    { flag: 'until', placeholder: 'SHARE', help: 'share that the larger fleet has in the end' },
    share,
    1,
    '100%',
  ),
  readyMs: setting(
    { flag: 'ready-timeout', placeholder: 'DURATION', help: 'how long each step may take to get ready' },
    duration({ minMs: 1000, maxMs: 3_600_000 }),
    600_000,
    '10m',
  ),
};

export const fileSettings: SettingsFor<FileConfig> = {
  file: required({ flag: 'file', placeholder: 'FILE', help: 'what to read (YAML or JSON; - for stdin)' }, path),
};

export const renderSettings: SettingsFor<{ readonly file: readonly string[] }> = {
  file: repeated({ flag: 'file', placeholder: 'FILE', help: 'what to read (YAML or JSON; - for stdin)' }, path, []),
};
