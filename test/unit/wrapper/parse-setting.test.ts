import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { inspect } from 'node:util';
import { readSettings } from '../../../shared/settings/read-settings.ts';
import { startUp } from '../../../shared/settings/start-up.ts';
import { contradictions, type WrapperConfig } from '../../../wrapper/settings/config.ts';
import {
  action,
  label,
  portRange,
  portRequest,
  property,
  readyRule,
  template,
} from '../../../wrapper/settings/parse-setting.ts';
import { wrapperSettings } from '../../../wrapper/settings/wrapper-settings.ts';

function parsedValue<T>(parsed: { readonly value: T } | { readonly expected: string }): T | undefined {
  return 'value' in parsed ? parsed.value : undefined;
}

suite('A wrapper setting', () => {
  test('names a port, its protocols and perhaps its number', () => {
    assert.deepEqual(parsedValue(portRequest('SERVER_PORT=udp')), {
      name: 'SERVER_PORT',
      protocol: 'udp',
      count: 1,
      pinned: undefined,
    });
    assert.deepEqual(parsedValue(portRequest('P=udp+tcp:27015')), {
      name: 'P',
      protocol: 'udp+tcp',
      count: 1,
      pinned: 27_015,
    });
    assert.deepEqual(parsedValue(portRequest('GAME=udp*3')), {
      ...{ name: 'GAME', protocol: 'udp' },
      ...{ count: 3, pinned: undefined },
    });
    assert.deepEqual(parsedValue(portRequest('GAME=udp+tcp*2:2456')), {
      ...{ name: 'GAME', protocol: 'udp+tcp' },
      ...{ count: 2, pinned: 2456 },
    });
    for (const wrong of [
      '',
      'P=udp*',
      'P=udp*0',
      'P=udp*17',
      'P=udp*2:65535',
      'P',
      'P=',
      'P=sctp',
      '=udp',
      '1P=udp',
      'P=udp:',
      'P=udp:0',
      'P=udp:65536',
      'SPOTABLE_X=udp',
      'P-Q=udp',
    ])
      assert.equal(parsedValue(portRequest(wrong)), undefined, wrong);
  });

  test('names a range of ports', () => {
    assert.deepEqual(parsedValue(portRange('20000-29999')), { first: 20_000, last: 29_999 });
    for (const wrong of ['', '20000', '0-10', '10-9', '1-65536', 'a-b', '1-2-3'])
      assert.equal(parsedValue(portRange(wrong)), undefined, wrong);
  });

  test('names an action', () => {
    assert.deepEqual(parsedValue(action('signal:INT')), { kind: 'signal', signal: 'SIGINT' });
    assert.deepEqual(parsedValue(action('signal:SIGKILL')), { kind: 'signal', signal: 'SIGKILL' });
    assert.deepEqual(parsedValue(action('stdin:say bye: now\nstop')), { kind: 'stdin', text: 'say bye: now\nstop' });
    assert.deepEqual(parsedValue(action('exec:a | b:c')), { kind: 'exec', command: 'a | b:c' });
    assert.deepEqual(parsedValue(action('wait:1500ms')), { kind: 'wait', ms: 1500 });
    for (const wrong of ['', 'stop', 'signal:', 'signal:SIGNOPE', 'signal:SIGSTOP', 'stdin:', 'wait:5', 'kill:x'])
      assert.equal(parsedValue(action(wrong)), undefined, wrong);
  });

  test('says when a game is ready', () => {
    assert.deepEqual(parsedValue(readyRule('bound')), { kind: 'bound', names: [] });
    assert.deepEqual(parsedValue(readyRule('bound:A,B')), { kind: 'bound', names: ['A', 'B'] });
    assert.deepEqual(parsedValue(readyRule('tcp')), { kind: 'tcp', name: undefined });
    assert.deepEqual(parsedValue(readyRule('log:Done \\(.*\\)!')), { kind: 'log', pattern: /Done \(.*\)!/ });
    assert.deepEqual(parsedValue(readyRule('delay:5s')), { kind: 'delay', ms: 5000 });
    for (const wrong of ['', 'log', 'log:(', 'file', 'delay:', 'delay:x', 'magic'])
      assert.equal(parsedValue(readyRule(wrong)), undefined, wrong);
  });

  test('names files, lines and labels', () => {
    assert.deepEqual(parsedValue(template('a/b.in:/c/d')), { source: 'a/b.in', destination: '/c/d' });
    assert.deepEqual(parsedValue(property('server.properties:server-port={SERVER_PORT}')), {
      file: 'server.properties',
      key: 'server-port',
      value: '{SERVER_PORT}',
    });
    assert.deepEqual(parsedValue(label('team/map=de=2')), ['team/map', 'de=2']);
    for (const wrong of ['', 'a', ':b', 'a:', 'a:b:c']) assert.equal(parsedValue(template(wrong)), undefined, wrong);
    for (const wrong of ['', 'a', 'a:b', 'a:=c', 'a:b c=d'])
      assert.equal(parsedValue(property(wrong)), undefined, wrong);
    for (const wrong of ['', 'a', '=b', 'a b=c']) assert.equal(parsedValue(label(wrong)), undefined, wrong);
  });
});

function configOf(...argv: string[]): WrapperConfig {
  const read = readSettings(wrapperSettings, { argv, env: {}, takesCommand: true });
  assert.ok(read.kind === 'settings', inspect(read));
  return read.values;
}

suite('The wrapper as a whole', () => {
  test("has the seed's two ports where none is named", () => {
    assert.deepEqual(configOf().ports, [
      { name: 'SERVER_PORT', protocol: 'udp+tcp', count: 1, pinned: undefined },
      { name: 'RCON_PORT', protocol: 'tcp', count: 1, pinned: undefined },
    ]);
  });

  const wrong: readonly [string, string[], RegExp][] = [
    ['a port named twice', ['--port', 'A=udp', '--port', 'A=tcp'], /--port A=tcp: expected each name once/],
    [
      'a name that adjacent ports have',
      ['--port', 'A=udp*2', '--port', 'A_2=tcp'],
      /--port A_2=tcp: expected each name once/,
    ],
    [
      'a number that adjacent ports have',
      ['--port', 'A=udp*3:9', '--port', 'B=udp:11'],
      /--port B=udp:11: A_3 has that port/,
    ],
    ['a number pinned twice', ['--port', 'A=udp:9', '--port', 'B=udp+tcp:9'], /--port B=udp\+tcp:9: A has that port/],
    [
      'readiness of a port that is not there',
      ['--ready', 'bound:B'],
      /--ready bound:B: expected one of the ports SERVER_PORT, RCON_PORT/,
    ],
    [
      'TCP readiness without a TCP port',
      ['--port', 'A=udp', '--ready', 'tcp'],
      /--ready tcp: expected a port with tcp/,
    ],
    ['a counter without an SDK', ['--sdk-counter', 'rooms=1/10'], /--sdk-counter: expected --sdk or --ready sdk/],
    ['a list without an SDK', ['--sdk-list', 'players=10'], /--sdk-list: expected --sdk or --ready sdk/],
    [
      'a lease that ends before the next heartbeat',
      ['--heartbeat', '5s', '--lease', '5s'],
      /--lease 5000ms: expected more than/,
    ],
  ];
  for (const [what, argv, line] of wrong)
    test(`refuses ${what}`, () => {
      const found = contradictions(configOf(...argv), ['game']);
      assert.equal(found.length, 1);
      assert.match(found[0] ?? '', line);
    });

  test('lets UDP and TCP of one number have a name each', () => {
    assert.deepEqual(contradictions(configOf('--port', 'A=udp:9', '--port', 'B=tcp:9'), ['game']), []);
  });

  test('refuses to run nothing', () => {
    assert.match(contradictions(configOf(), [])[0] ?? '', /^Missing the game: expected spotable-wrapper/);
  });

  test('explains every flag in at most a screen and a half', () => {
    const program = { name: 'spotable-wrapper', version: '1', usage: 'u', summary: 's' };
    const started = startUp(wrapperSettings, program, { argv: ['--help'], env: {} });
    assert.ok(started.kind === 'end');
    const lines = started.stdout.split('\n');
    for (const { flag } of Object.values(wrapperSettings))
      assert.match(started.stdout, new RegExp(`--(\\[no-\\])?${flag} `), flag);
    assert.ok(lines.length <= 60, `${lines.length} lines`);
  });

  test('names the flag, its value and what was expected, whichever flag is wrong', () => {
    const known: Readonly<Record<string, string>> = {
      ports: 'x',
      portRange: 'x',
      templates: 'x',
      properties: 'x',
      ready: 'x',
    };
    for (const [name, { flag, placeholder }] of Object.entries(wrapperSettings)) {
      // A toggle takes no value.
      if (placeholder === undefined) continue;
      const value = known[name] ?? '\u0000 ';
      const read = readSettings(wrapperSettings, { argv: [`--${flag}`, value], env: {} });
      if (read.kind !== 'problems') continue;
      assert.equal(read.problems.length, 1);
      assert.ok(read.problems[0]?.message.startsWith(`Invalid --${flag} ${JSON.stringify(value)}: expected `), flag);
    }
  });
});
