import { exitStatus } from '../exit-status.ts';
import { formatHelp, type HelpText } from './format-help.ts';
import { readSettings, type Settings, type SettingsSource, type Values } from './read-settings.ts';

export interface ProgramText extends HelpText {
  /** The program's name, which begins each line on stderr. */
  readonly name: string;
  readonly version: string;
}

/** The settings to run with, or the output to print before exiting. */
export type StartUp<S extends Settings> =
  | { readonly kind: 'run'; readonly values: Values<S>; readonly rest: readonly string[] }
  | { readonly kind: 'end'; readonly status: number; readonly stdout: string; readonly stderr: string };

/** Reads the settings, handles `--help` and `--version`, and turns every problem into one line for stderr. */
export function startUp<S extends Settings>(settings: S, program: ProgramText, source: SettingsSource): StartUp<S> {
  const read = readSettings(settings, source);
  switch (read.kind) {
    case 'settings':
      return { kind: 'run', values: read.values, rest: read.rest };
    case 'help':
      return { kind: 'end', status: 0, stdout: formatHelp(settings, program), stderr: '' };
    case 'version':
      return { kind: 'end', status: 0, stdout: `${program.name} ${program.version}\n`, stderr: '' };
    case 'problems': {
      const isUsage = read.problems.some(({ origin }) => origin === 'flag');
      const lines = read.problems.map(({ message }) => `${program.name}: ${message}\n`);
      return {
        kind: 'end',
        status: isUsage ? exitStatus.usage : exitStatus.config,
        stdout: '',
        stderr: lines.join(''),
      };
    }
  }
}
