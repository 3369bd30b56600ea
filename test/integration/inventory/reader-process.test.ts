import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startEventQueue, until } from './event-queue-fixture.ts';
import { runReader, spawnReader } from './reader-process.ts';
import { sampleEvent, sampleNodeEvent } from './sample-events.ts';

const folder = await mkdtemp(join(tmpdir(), 'inventory-process-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const stateFile = (): string => join(folder, `state-${files++}.sqlite`);

test('--once empties the queue, prints the table and ends with 0; the next one still knows the table', async () => {
  await using queue = await startEventQueue();
  await queue.send([
    sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1 }),
    sampleEvent({ id: 'gs-2', status: 'allocated', sequence: 1, node: 'node-2', players: 12 }),
    sampleNodeEvent('node-2', 'interrupted', 1),
    'poison',
  ]);
  const state = stateFile();
  const args = ['--queue-url', queue.url, '--once', '--state', state];
  const first = await runReader(args);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^2 game servers {3}▼ 1 terminating {3}● 1 ready$/m);
  assert.match(first.stdout, /▼ terminating gs-2 .*:20000 .*20000\/udp +12 +node-2 +1:5\d +spot-termination$/m);
  assert.match(first.stdout, /▲ node-2 interrupted taken in 1:5\d \(spot-termination\)/);
  assert.equal(await queue.size(), 0);
  const second = await runReader([...args, '--json']);
  const rows = second.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(rows.map(({ kind, row }) => [kind, row.game_server_id ?? row.key, row.status]).sort(), [
    ['game-server', 'gs-1', 'ready'],
    ['game-server', 'gs-2', 'terminating'],
    ['node', 'i-node-2', 'interrupted'],
  ]);
});

test('without a terminal each change is a line, with --json an object, and SIGTERM ends both with 0', async () => {
  for (const flags of [[], ['--json']]) {
    await using queue = await startEventQueue();
    const reader = spawnReader(['--queue-url', queue.url, '--state', ':memory:', ...flags]);
    let printed = '';
    reader.stdout?.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
    await queue.send([sampleEvent({ id: 'gs-1', status: 'starting', sequence: 1 })]);
    await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence: 2 })]);
    await until('both are printed', () => printed.split('\n').length > 2);
    const closed = once(reader, 'close');
    reader.kill('SIGTERM');
    assert.deepEqual(await closed, [0, null]);
    if (flags.length === 0) assert.match(printed, /^\d\d:\d\d:\d\d gs-1 starting -> ready on node-1$/m);
    else
      assert.match(
        printed,
        /^\{"at":"[^"]+","kind":"game-server","row":\{.*"status":"ready".*\},"before":"starting"\}$/m,
      );
  }
});

test('a pipe that closes early ends the reader quietly', async () => {
  await using queue = await startEventQueue();
  const reader = spawnReader(['--queue-url', queue.url, '--state', ':memory:', '--json']);
  let complaints = '';
  reader.stderr?.setEncoding('utf8').on('data', (text) => {
    complaints += text;
  });
  const closed = once(reader, 'close');
  const data = once(reader.stdout ?? reader, 'data');
  await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1 })]);
  await data;
  reader.stdout?.destroy();
  await queue.send([sampleEvent({ id: 'gs-2', status: 'ready', sequence: 1 })]);
  assert.deepEqual(await closed, [0, null]);
  assert.equal(complaints, '');
});

const mistakes: readonly (readonly [
  name: string,
  args: string[],
  env: Record<string, string>,
  code: number,
  line: RegExp,
])[] = [
  ['no queue', [], {}, 78, /^spotable-inventory: Missing --queue-url or QUEUE_URL: /],
  [
    'an unknown flag',
    ['--queue-url', 'http://127.0.0.1/q', '--frob'],
    {},
    64,
    /^spotable-inventory: Unknown flag "--frob"/,
  ],
  ['a queue that is no address', ['--queue-url', 'events'], {}, 64, /Invalid --queue-url "events": expected an http/],
  [
    'a wrong variable',
    [],
    { QUEUE_URL: 'http://127.0.0.1/q', POLLERS: 'many' },
    78,
    /Invalid POLLERS "many": expected a whole/,
  ],
  [
    'a wrong port',
    ['--queue-url', 'http://127.0.0.1/q', '--serve', '99999'],
    {},
    64,
    /Invalid --serve "99999": expected a port/,
  ],
  [
    'an unreachable queue',
    ['--queue-url', 'http://127.0.0.1:9/0/q', '--once', '--state', ':memory:'],
    {},
    69,
    /Cannot read queue http:\/\/127.0.0.1:9\/0\/q: .*ECONNREFUSED/,
  ],
  [
    'a state file in a folder that cannot be',
    ['--queue-url', 'http://127.0.0.1/q', '--state', '/dev/null/x'],
    {},
    73,
    /Cannot create the folder of inventory state \/dev\/null\/x/,
  ],
];

for (const [name, args, env, code, line] of mistakes)
  test(`${name} is one clear line and exit status ${code}`, async () => {
    const ended = await runReader(args, env);
    const lines = ended.stderr.split('\n').filter((text) => text !== '' && !text.startsWith('{'));
    assert.equal(ended.code, code, ended.stderr);
    assert.equal(lines.length, 1, ended.stderr);
    assert.match(lines[0] ?? '', line);
    assert.equal(ended.stdout, '');
  });

test('a queue that does not exist is one clear line and exit status 69', async () => {
  await using queue = await startEventQueue();
  const ended = await runReader(['--queue-url', `${queue.url}-not`, '--state', ':memory:']);
  assert.deepEqual([ended.code, ended.stdout], [69, '']);
  assert.match(ended.stderr, /^spotable-inventory: Cannot read queue \S+events-not: QueueDoesNotExist: [^\n]+\n$/);
});

test('a state file of another queue, of another program, or in use is refused with exit status 73', async () => {
  await using queue = await startEventQueue();
  const state = stateFile();
  await runReader(['--queue-url', queue.url, '--once', '--state', state]);
  const other = await runReader(['--queue-url', `${queue.url}2`, '--once', '--state', state]);
  assert.deepEqual(
    [other.code, other.stderr],
    [73, `spotable-inventory: Cannot open inventory state ${state}: it belongs to queue ${queue.url}\n`],
  );
  const foreign = await runReader(['--queue-url', queue.url, '--once', '--state', process.execPath]);
  assert.equal(foreign.code, 73, foreign.stderr);
  const running = spawnReader(['--queue-url', queue.url, '--state', state, '--json']);
  const closed = once(running, 'close');
  const data = once(running.stdout ?? running, 'data');
  await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1 })]);
  await data;
  const second = await runReader(['--queue-url', queue.url, '--once', '--state', state]);
  assert.deepEqual(
    [second.code, second.stderr],
    [73, `spotable-inventory: Cannot open inventory state ${state}: database is locked\n`],
  );
  running.kill('SIGTERM');
  await closed;
});

test('an address in use is one clear line and exit status 69', async () => {
  await using queue = await startEventQueue();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const ended = await runReader(['--queue-url', queue.url, '--state', ':memory:', '--serve', String(port)]);
  taken.close();
  assert.deepEqual([ended.code, ended.stdout], [69, '']);
  assert.match(ended.stderr, /^spotable-inventory: Cannot serve the inventory on 127.0.0.1:\d+: .*EADDRINUSE[^\n]*\n$/);
});
