import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SequenceSet } from '../../../inventory/fold/sequence-set.ts';

test('it tells new numbers from known ones as a set does, in any order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 200 }), (numbers) => {
      const sequences = SequenceSet.empty();
      const model = new Set<number>();
      for (const number of numbers) {
        assert.equal(sequences.add(number), !model.has(number));
        model.add(number);
      }
    }),
    { numRuns: 300 },
  );
});

test('it is written down and read back as ranges', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { maxLength: 60 }), (numbers) => {
      const sequences = SequenceSet.empty();
      for (const number of numbers) sequences.add(number);
      const again = SequenceSet.parse(sequences.toString());
      assert.equal(again.toString(), sequences.toString());
      for (const number of numbers) assert.equal(again.add(number), false);
    }),
  );
  const few = SequenceSet.empty();
  for (const number of [3, 1, 2, 7, 9, 8, 12]) few.add(number);
  assert.equal(few.toString(), '1-3,7-9,12');
  assert.equal(SequenceSet.parse('').toString(), '');
});

test('a sender that leaves a gap after every event costs bounded memory, and its newest numbers stay exact', () => {
  const sequences = SequenceSet.empty();
  for (let number = 1; number <= 20_001; number += 2) sequences.add(number);
  assert.ok(sequences.toString().split(',').length <= 64);
  assert.equal(sequences.add(20_000), true);
  assert.equal(sequences.add(20_000), false);
  assert.equal(sequences.add(2), false, 'a gap of long ago counts as known');
});
