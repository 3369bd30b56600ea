import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDemoProcess, summaryOf } from './demo-process.ts';

test('games are told and end cleanly although the Kubernetes API is out of reach', async () => {
  const run = await runDemoProcess(['--json', '--notice', '15s', '--api-down']);
  const summary = summaryOf(run);
  assert.deepEqual(summary.problems, []);
  assert.equal(run.status, 0);
  assert.equal(summary.scenario, 'api-down');
  assert.equal(summary.games_told, 4);
  assert.equal(summary.games_exited_cleanly, 3);
  assert.equal(summary.games_running_at_deadline, 0);
  assert.equal(summary.notice_seen_to_cordon_ms, null);
});
