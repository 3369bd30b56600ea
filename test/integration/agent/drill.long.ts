import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runDrill } from '../../drill/run-drill.ts';
import { makeSchedule } from '../../drill/schedule.ts';

describe('a drill of faults', () => {
  for (const seed of [2, 3])
    test(`with seed ${seed} ends with every game told and no pod left`, async () => {
      assert.deepEqual((await runDrill(makeSchedule(seed))).problems, []);
    });

  test('is the same for the same seed', () => {
    assert.deepEqual(makeSchedule(7), makeSchedule(7));
    assert.notDeepEqual(makeSchedule(7), makeSchedule(8));
  });
});
