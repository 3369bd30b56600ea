import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDemoProcess, summaryOf } from './demo-process.ts';

test("a game with a match on warns its players by Agones' SDK, plays on and ends last", async () => {
  const run = await runDemoProcess(['--json', '--notice', '14s', '--game-servers', '3', '--sdk']);
  const summary = summaryOf(run);
  assert.deepEqual(summary.problems, []);
  assert.equal(run.status, 0);
  assert.match(run.stdout, /sdk-match-\S+ +says: players warned \(\d+ connected\): this server closes by \d{4}-/);
  const ends = [...run.stdout.matchAll(/ (\S+) +game ended with 0/g)].map(([, pod]) =>
    pod?.replace(/-[^-]+-[^-]+$/, ''),
  );
  assert.deepEqual(ends.at(-1), 'sdk-match');
});
