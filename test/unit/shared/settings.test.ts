import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ReadSettings, readSettings, type SettingsSource } from '../../../shared/settings/read-settings.ts';
import {
  duration,
  httpUrl,
  integer,
  matching,
  oneOf,
  optional,
  repeated,
  required,
  setting,
  text,
  toggle,
} from '../../../shared/settings/setting.ts';

const settings = {
  node: required({ flag: 'node', env: 'NODE', placeholder: 'NAME', help: 'the node' }, matching(/^[a-z-]+$/, 'a name')),
  wait: setting(
    { flag: 'wait', env: 'WAIT', placeholder: 'TIME', help: 'how long' },
    duration({ maxMs: 60_000 }),
    1000,
  ),
  shift: setting({ flag: 'shift', help: 'by how much' }, integer(-10, 10), 0),
  queue: optional({ flag: 'queue', env: 'QUEUE', placeholder: 'URL', help: 'the queue' }, httpUrl),
  note: optional({ flag: 'note', env: 'NOTE', help: 'any text' }, text),
  mode: setting({ flag: 'mode', help: 'what to do' }, oneOf(['drain', 'ignore']), 'drain'),
  ports: repeated({ flag: 'port', env: 'PORTS', help: 'a port' }, integer(1, 65_535), [7777]),
  dryRun: toggle({ flag: 'dry-run', env: 'DRY_RUN', help: 'do nothing' }),
  color: toggle({ flag: 'color', help: 'in color' }, true),
};

type Read = ReadSettings<typeof settings>;

function read(
  argv: readonly string[],
  source: Omit<SettingsSource, 'argv' | 'env'> & { env?: SettingsSource['env'] } = {},
): Read {
  return readSettings(settings, { env: { NODE: 'n' }, ...source, argv });
}

function valuesOf(result: Read): Record<string, unknown> {
  assert.equal(result.kind, 'settings', JSON.stringify(result));
  assert.ok(result.kind === 'settings');
  return result.values;
}

function messagesOf(result: Read): string[] {
  assert.ok(result.kind === 'problems', JSON.stringify(result));
  return result.problems.map(({ message }) => message);
}

test('without flags and environment each setting has its default', () => {
  assert.deepEqual(valuesOf(read([])), {
    node: 'n',
    wait: 1000,
    shift: 0,
    queue: undefined,
    note: undefined,
    mode: 'drain',
    ports: [7777],
    dryRun: false,
    color: true,
  });
});

const taken: readonly (readonly [name: string, argv: readonly string[], env: Record<string, string>, value: object])[] =
  [
    ['a flag and its value', ['--wait', '5s'], {}, { wait: 5000 }],
    ['a flag with =', ['--wait=5s'], {}, { wait: 5000 }],
    ['a value with = in it', ['--note=a=b'], {}, { note: 'a=b' }],
    ['an empty value', ['--note='], {}, { note: '' }],
    ['an empty value of its own', ['--note', ''], {}, { note: '' }],
    ['a value of several lines', ['--note=a\nb'], {}, { note: 'a\nb' }],
    ['a value that looks like a flag, after =', ['--note=--wait'], {}, { note: '--wait' }],
    ['a lone dash as value', ['--note', '-'], {}, { note: '-' }],
    ['a negative number', ['--shift', '-3'], {}, { shift: -3 }],
    ['the environment', [], { WAIT: '5s' }, { wait: 5000 }],
    ['a flag over the environment', ['--wait', '2s'], { WAIT: '5s' }, { wait: 2000 }],
    ['a flag over a wrong environment', ['--wait', '2s'], { WAIT: 'soon' }, { wait: 2000 }],
    [
      'an empty variable as none',
      [],
      { WAIT: '', PORTS: '  ', DRY_RUN: '' },
      { wait: 1000, ports: [7777], dryRun: false },
    ],
    ['the last of two values', ['--wait=2s', '--wait', '3s'], {}, { wait: 3000 }],
    ['all values of a flag that may be repeated', ['--port', '1', '--port=2', '--port', '2'], {}, { ports: [1, 2, 2] }],
    ['several values of one variable', [], { PORTS: ' 1\t2\n3 ' }, { ports: [1, 2, 3] }],
    ['flags in place of a variable, not with it', ['--port', '9'], { PORTS: '1 2' }, { ports: [9] }],
    ['a toggle', ['--dry-run'], {}, { dryRun: true }],
    ['a toggle that is turned off', ['--no-color'], {}, { color: false }],
    ['the last word on a toggle', ['--dry-run', '--no-dry-run'], {}, { dryRun: false }],
    ['a toggle with a value', ['--dry-run=no'], {}, { dryRun: false }],
    ['a flag over a variable of a toggle', ['--no-dry-run'], { DRY_RUN: 'true' }, { dryRun: false }],
    ['a toggle in the environment', [], { DRY_RUN: 'TRUE' }, { dryRun: true }],
    ['a one as on', [], { DRY_RUN: '1' }, { dryRun: true }],
    ['flags before a closing --', ['--wait=2s', '--'], {}, { wait: 2000 }],
    ['an address', ['--queue', 'http://127.0.0.1:1/q'], {}, { queue: new URL('http://127.0.0.1:1/q') }],
  ];

for (const [name, argv, env, expected] of taken)
  test(`${name} is taken: ${JSON.stringify(argv)} ${JSON.stringify(env)}`, () => {
    const values = valuesOf(read(argv, { env: { NODE: 'n', ...env } }));
    for (const [field, value] of Object.entries(expected)) assert.deepEqual(values[field], value);
  });

const refused: readonly (readonly [
  name: string,
  argv: readonly string[],
  env: Record<string, string>,
  messages: readonly string[],
])[] = [
  ['a wrong value', ['--wait', 'soon'], {}, ['Invalid --wait "soon": expected a duration such as 500ms, 5s or 2m']],
  ['a value out of bounds', ['--wait', '2m'], {}, ['Invalid --wait "2m": expected a duration from 0ms to 1m']],
  ['a wrong variable', [], { WAIT: 'soon' }, ['Invalid WAIT "soon": expected a duration such as 500ms, 5s or 2m']],
  ['a wrong word', ['--mode=explode'], {}, ['Invalid --mode "explode": expected drain, ignore']],
  ['an inherited name as a word', ['--mode=constructor'], {}, ['Invalid --mode "constructor": expected drain, ignore']],
  [
    'an inherited name as a toggle',
    ['--dry-run=constructor'],
    {},
    ['Invalid --dry-run "constructor": expected true or false'],
  ],
  [
    'the wrong one of several',
    ['--port=1', '--port=x', '--port=y'],
    {},
    ['Invalid --port "x": expected a whole number from 1 to 65535'],
  ],
  [
    'the wrong one of several in a variable',
    [],
    { PORTS: '1 x 3' },
    ['Invalid PORTS "x": expected a whole number from 1 to 65535'],
  ],
  [
    'an address of another kind',
    ['--queue=ftp://h/q'],
    {},
    ['Invalid --queue "ftp://h/q": expected an http:// or https:// address'],
  ],
  ['a missing value at the end', ['--wait'], {}, ['Missing value of --wait: expected TIME']],
  ['a missing value before a flag', ['--note', '--dry-run'], {}, ['Missing value of --note: expected VALUE']],
  ['a missing value before --', ['--note', '--'], {}, ['Missing value of --note: expected VALUE']],
  ['an unknown flag', ['--explode=now'], {}, ['Unknown flag "--explode": see --help']],
  ['an unknown negated flag', ['--no-explode'], {}, ['Unknown flag "--no-explode": see --help']],
  ['a negated flag that is no toggle', ['--no-wait'], {}, ['Unknown flag "--no-wait": see --help']],
  ['a value of a negated toggle', ['--no-color=yes'], {}, ['Unexpected value "yes" of --no-color: expected none']],
  ['an inherited name as flag', ['--__proto__=1'], {}, ['Unknown flag "--__proto__": see --help']],
  [
    'a short flag',
    ['-w', '5s'],
    {},
    ['Unexpected argument "-w": expected flags only', 'Unexpected argument "5s": expected flags only'],
  ],
  ['an argument', ['drain', '--dry-run'], {}, ['Unexpected argument "drain": expected flags only']],
  [
    'a command',
    ['--dry-run', '--', 'game', '-x'],
    {},
    ['Unexpected argument "game": expected flags only', 'Unexpected argument "-x": expected flags only'],
  ],
  [
    'a value that is far too long',
    [`--mode=${'x'.repeat(10_000)}`],
    {},
    [`Invalid --mode "${'x'.repeat(200)}...": expected drain, ignore`],
  ],
];

for (const [name, argv, env, messages] of refused)
  test(`${name} is refused, and the line says what and why`, () => {
    assert.deepEqual(messagesOf(read(argv, { env: { NODE: 'n', ...env } })), messages);
  });

test('all problems are reported together, each with where it came from', () => {
  const result = read(['--wait=x', '--explode', '--shift'], { env: { QUEUE: 'y', DRY_RUN: 'maybe' } });
  assert.ok(result.kind === 'problems');
  assert.deepEqual(
    result.problems.map(({ origin, message }) => [origin, message.replace(/:.*/s, '')]),
    [
      ['flag', 'Unknown flag "--explode"'],
      ['flag', 'Missing value of --shift'],
      ['environment', 'Missing --node or NODE'],
      ['flag', 'Invalid --wait "x"'],
      ['environment', 'Invalid QUEUE "y"'],
      ['environment', 'Invalid DRY_RUN "maybe"'],
    ],
  );
});

test('a required flag whose value is missing is one problem, not two', () => {
  assert.deepEqual(messagesOf(read(['--node'], { env: {} })), ['Missing value of --node: expected NAME']);
});

for (const argv of [['--help'], ['-h'], ['--explode', '--help'], ['--wait', '--help'], ['--help', '--version']])
  test(`help is shown whatever else is wrong: ${argv.join(' ')}`, () => {
    assert.deepEqual(read(argv, { env: {} }), { kind: 'help' });
  });

test('the version is shown whatever is missing', () => {
  assert.deepEqual(read(['--version'], { env: {} }), { kind: 'version' });
});

const commands: readonly (readonly [argv: readonly string[], rest: readonly string[]])[] = [
  [[], []],
  [['--'], []],
  [
    ['--dry-run', '--', 'game', '--help', '--', '-x'],
    ['game', '--help', '--', '-x'],
  ],
  [
    ['--dry-run', 'game', '--wait', 'x'],
    ['game', '--wait', 'x'],
  ],
  [['--wait', '2s', 'game'], ['game']],
  [
    ['game', '--', 'x'],
    ['game', '--', 'x'],
  ],
  [['--', ''], ['']],
  [['--', '--dry-run'], ['--dry-run']],
];

for (const [argv, rest] of commands)
  test(`${JSON.stringify(argv)} has the command ${JSON.stringify(rest)}, whose flags are its own`, () => {
    const result = read(argv, { takesCommand: true });
    assert.ok(result.kind === 'settings', JSON.stringify(result));
    assert.deepEqual(result.rest, rest);
    assert.equal(result.values.wait, argv.includes('2s') ? 2000 : 1000);
  });

test('no arguments and no environment make the reader throw, and problems are bounded lines', () => {
  const words = fc.constantFrom(
    '--wait',
    '--no-color',
    '--',
    '-',
    '5s',
    '--port=1',
    '--dry-run=',
    '--=',
    '-h',
    '--port',
    '__proto__',
  );
  const argv = fc.array(fc.oneof(words, fc.string({ unit: 'binary' })), { maxLength: 8 });
  const env = fc.dictionary(
    fc.constantFrom('NODE', 'WAIT', 'PORTS', 'DRY_RUN', 'QUEUE'),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(argv, env, fc.boolean(), (given, variables, takesCommand) => {
      const result = read(given, { env: variables, takesCommand });
      if (result.kind === 'problems')
        for (const { message } of result.problems)
          assert.match(message, /^(Invalid|Missing|Unexpected|Unknown) .{1,1400}$/);
    }),
    { numRuns: 500 },
  );
});

test('every argument after -- reaches the command untouched', () => {
  const argv = fc.array(fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(argv, (command) => {
      const result = read(['--dry-run', '--', ...command], { takesCommand: true });
      assert.ok(result.kind === 'settings');
      assert.deepEqual(result.rest, command);
    }),
  );
});
