import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NewCauses } from '../../../shared/new-causes.ts';

test('each cause of an outage is new once, and again in the next outage', () => {
  const causes = new NewCauses();
  const said = [
    'Throttling: Rate exceeded',
    'AccessDenied: no',
    'Throttling: Rate exceeded',
    'QueueDoesNotExist: gone',
  ];
  assert.deepEqual(
    said.map((cause) => causes.isNew(cause)),
    [true, true, false, true],
  );
  causes.clear();
  assert.equal(causes.isNew('AccessDenied: no'), true);
});

test('request ids, ports and instants make no new cause, statuses do', () => {
  const causes = new NewCauses();
  assert.equal(causes.isNew('HTTP 503 (request 5a1b9c2d-0000-4000-8000-00000000abcd) from 10.0.0.1:41234'), true);
  assert.equal(causes.isNew('HTTP 503 (request 77777777-1111-4111-8111-11111111ffff) from 10.0.0.1:50001'), false);
  assert.equal(causes.isNew('HTTP 403 (request 5a1b9c2d-0000-4000-8000-00000000abcd) from 10.0.0.1:41234'), true);
});

test('causes in ever new words end after a handful', () => {
  const causes = new NewCauses();
  const words = Array.from({ length: 100 }, (_, index) => 'x'.repeat(index + 1));
  assert.equal(words.filter((word) => causes.isNew(word)).length, 16);
});
