import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHelp } from '../../../shared/settings/format-help.ts';
import { duration, repeated, required, setting, text, toggle } from '../../../shared/settings/setting.ts';
import { startUp } from '../../../shared/settings/start-up.ts';

const settings = {
  node: required({ flag: 'node', env: 'NODE', placeholder: 'NAME', help: 'the node' }, text),
  wait: setting({ flag: 'wait', placeholder: 'TIME', help: 'how long' }, duration(), 1000, '1s'),
  labels: repeated({ flag: 'a-flag-of-many-characters', env: 'LABELS', placeholder: 'K=V', help: 'a label' }, text, []),
  dryRun: toggle({ flag: 'dry-run', env: 'DRY_RUN', help: 'do nothing' }),
  color: toggle({ flag: 'color', help: 'in color' }, true),
};
const program = { name: 'x', version: '1.2.3', usage: 'x [FLAGS]', summary: 'Does x.', footer: 'Exit status: 0.' };

const helpText = `Usage: x [FLAGS]

Does x.

Flags (environment variable in brackets):
  --node NAME                     the node [NODE]
  --wait TIME                     how long (default 1s)
  --a-flag-of-many-characters K=V ...
                                  a label [LABELS]
  --[no-]dry-run                  do nothing [DRY_RUN]
  --[no-]color                    in color (default on)
  --help                          show this text
  --version                       show the version

Exit status: 0.
`;

test('the help text shows every flag, its variable and its default', () => {
  assert.equal(formatHelp(settings, program), helpText);
});

test('without a footer the help text ends with its flags', () => {
  const { footer: _, ...short } = program;
  assert.match(formatHelp(settings, short), /show the version\n$/);
});

test('--help and --version print to stdout and end with 0', () => {
  const help = startUp(settings, program, { argv: ['--help'], env: {} });
  assert.deepEqual(help, { kind: 'end', status: 0, stdout: helpText, stderr: '' });
  const version = startUp(settings, program, { argv: ['--version'], env: {} });
  assert.deepEqual(version, { kind: 'end', status: 0, stdout: 'x 1.2.3\n', stderr: '' });
});

test('a wrong flag ends with 64, each problem on a line that names the program', () => {
  const end = startUp(settings, program, { argv: ['--wait=x', '--wrong'], env: {} });
  assert.ok(end.kind === 'end');
  assert.equal(end.status, 64);
  assert.equal(end.stdout, '');
  assert.deepEqual(end.stderr.split('\n'), [
    'x: Unknown flag "--wrong": see --help',
    'x: Missing --node or NODE: the node',
    'x: Invalid --wait "x": expected a duration such as 500ms, 5s or 2m',
    '',
  ]);
});

test('a wrong environment ends with 78', () => {
  const end = startUp(settings, program, { argv: [], env: { DRY_RUN: 'maybe' } });
  assert.ok(end.kind === 'end');
  assert.equal(end.status, 78);
});

test('right settings run', () => {
  const run = startUp(settings, program, { argv: ['--', 'game', '-x'], env: { NODE: 'n' }, takesCommand: true });
  assert.deepEqual(run, {
    kind: 'run',
    values: { node: 'n', wait: 1000, labels: [], dryRun: false, color: true },
    rest: ['game', '-x'],
  });
});
