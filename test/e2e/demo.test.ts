import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDemoProcess, summaryOf } from './demo-process.ts';

test('a spot notice ends every game in time, and replacements come up elsewhere', async () => {
  const run = await runDemoProcess(['--json', '--notice', '20s']);
  const summary = summaryOf(run);
  assert.deepEqual(summary.problems, []);
  assert.equal(run.status, 0);
  assert.equal(summary.ok, true);
  assert.equal(summary.games_told, 4);
  assert.equal(summary.games_exited_cleanly, 3);
  assert.equal(summary.games_killed, 1);
  // The one behind the budget, unless its game was gone before the budget's status knew: then it may be evicted as
  // well.
  assert.ok(Number(summary.pods_deleted) <= 1);
  assert.equal(Number(summary.pods_deleted) + Number(summary.pods_evicted), 4);
  assert.equal(summary.pods_left_at_deadline, 0);
  assert.equal(summary.replacements_ready, 4);
  assert.equal(summary.events_received, summary.events_published);
});
