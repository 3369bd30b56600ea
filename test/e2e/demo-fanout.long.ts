import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDemoProcess, summaryOf } from './demo-process.ts';

test('players behind the fan-out proxy lose no move while the node of their match is taken', async () => {
  const run = await runDemoProcess(['--json', '--notice', '14s', '--game-servers', '1', '--fanout']);
  const summary = summaryOf(run);
  assert.deepEqual(summary.problems, []);
  assert.equal(run.status, 0);
  assert.equal(summary.players_moves_lost, 0);
  assert.match(run.stdout, /has seen the notice[\s\S]*answers the players now/, 'another replica took over');
});
