import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDemoProcess, summaryOf } from './demo-process.ts';

test('a rehearsal moves the games and gives the node back', async () => {
  const run = await runDemoProcess(['--json', '--rehearse', '12s', '--game-servers', '1', '--page']);
  const summary = summaryOf(run);
  assert.deepEqual(summary.problems, []);
  assert.equal(run.status, 0);
  assert.equal(summary.scenario, 'rehearsal');
  assert.equal(summary.node_given_back, true);
  assert.match(run.stdout, /Open http:\/\/127\.0\.0\.1:\d+\/ to watch/);
});
