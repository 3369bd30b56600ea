import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { startEventQueue, testCredentials } from './event-queue-fixture.ts';
import { sampleEvent, sampleNodeEvent } from './sample-events.ts';

const folder = new URL('../../../docs/examples/consumers/', import.meta.url).pathname;
const python = process.env['PYTHON'] ?? 'python3';
const hasBoto3 = spawnSync(python, ['-c', 'import boto3'], { timeout: 20_000 }).status === 0;

test('the Python consumer reads a queue into the right table', {
  skip: !hasBoto3 && 'python3 has no boto3',
}, async () => {
  await using queue = await startEventQueue();
  const nowMs = Date.now();
  await queue.send([
    sampleEvent({ id: 'gs-old', status: 'allocated', sequence: 3 }),
    sampleEvent({ id: 'gs-old', status: 'ready', sequence: 2 }),
    sampleEvent({ id: 'gs-gone', status: 'terminated', sequence: 2 }),
    sampleEvent({ id: 'gs-gone', status: 'ready', sequence: 3 }),
    sampleEvent({ id: 'gs-silent', status: 'ready', sequence: 1, leaseMs: 0 }),
    // Its clock is an hour behind: its lease has not run out for that.
    sampleEvent({ id: 'gs-skewed', status: 'ready', sequence: 1, atMs: nowMs - 3_600_000 }),
    'poison',
    '[]',
    sampleEvent({ id: 'gs-going', status: 'allocated', sequence: 1, node: 'node-2' }),
    sampleNodeEvent('node-2', 'interrupted', 1),
  ]);
  const consumer = spawn(python, [`${folder}consumer.py`, queue.url, queue.service.endpoint], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], AWS_DEFAULT_REGION: 'us-east-1', ...testCredentials },
  });
  const closed = once(consumer, 'close');
  const statuses = new Map<string, string>();
  const lines = createInterface({ input: consumer.stdout, signal: AbortSignal.timeout(20_000) });
  for await (const line of lines) {
    for (const [id, [status]] of Object.entries(JSON.parse(line) as Record<string, [string]>)) statuses.set(id, status);
    if (statuses.get('gs-going') === 'terminating') break;
  }
  consumer.kill('SIGKILL');
  await closed;
  assert.deepEqual(Object.fromEntries(statuses), {
    'gs-old': 'allocated',
    'gs-gone': 'terminated',
    'gs-silent': 'lost',
    'gs-skewed': 'ready',
    'gs-going': 'terminating',
  });
});

interface Stored {
  readonly id: string;
  readonly takesPlayers: boolean;
}

test('the Lambda handler stores what it can and asks again only for what it could not store', async () => {
  const module: string = `${folder}lambda.mjs`;
  const { makeHandler } = (await import(module)) as {
    makeHandler: (
      put: (row: Stored) => Promise<void>,
    ) => (event: object) => Promise<{ batchItemFailures: { itemIdentifier: string }[] }>;
  };
  const stored: Stored[] = [];
  const handler = makeHandler(async (row) => {
    if (row.id === 'gs-2') throw new Error('throttled');
    stored.push(row);
  });
  const bodies = [
    JSON.stringify(sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1 })),
    JSON.stringify(sampleEvent({ id: 'gs-2', status: 'ready', sequence: 1 })),
    'poison',
    JSON.stringify(sampleNodeEvent('node-1', 'interrupted', 1)),
    JSON.stringify(sampleEvent({ id: 'gs-3', status: 'terminating', sequence: 1 })),
  ];
  const answer = await handler({ Records: bodies.map((body, index) => ({ messageId: `m${index}`, body })) });
  assert.deepEqual(answer, { batchItemFailures: [{ itemIdentifier: 'm1' }] });
  assert.deepEqual(
    stored.map(({ id, takesPlayers }) => [id, takesPlayers]),
    [
      ['gs-1', true],
      ['gs-3', false],
    ],
  );
});

test("the pipe's filter names statuses and fields that events have", () => {
  const pipe = JSON.parse(readFileSync(`${folder}pipe.json`, 'utf8'));
  const pattern = JSON.parse(pipe.SourceParameters.FilterCriteria.Filters[0].Pattern);
  const passes = (event: { type: string; data: { status: string } }): boolean =>
    event.type.startsWith(pattern.body.type[0].prefix) && pattern.body.data.status.includes(event.data.status);
  assert.ok(passes(sampleEvent({ id: 'a', status: 'terminating', sequence: 1 })));
  assert.ok(passes(sampleEvent({ id: 'a', status: 'lost', sequence: 1 })));
  assert.ok(passes(sampleNodeEvent('n', 'interrupted', 1)));
  assert.ok(!passes(sampleEvent({ id: 'a', status: 'ready', sequence: 1 })));
  const event = { body: sampleNodeEvent('n', 'interrupted', 1) };
  for (const [, path] of pipe.TargetParameters.InputTemplate.matchAll(/<\$\.([\w.]+)>/g)) {
    const found = String(path)
      .split('.')
      .reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], event);
    assert.notEqual(found, undefined, path);
  }
});
