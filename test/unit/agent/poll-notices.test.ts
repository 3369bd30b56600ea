import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GarbageError, type NoticeSource, type Sighting } from '../../../agent/interruption/notice-source.ts';
import { type PollNoticesOptions, pollNotices } from '../../../agent/interruption/poll-notices.ts';
import type { Observation } from '../../../agent/interruption/track-interruption.ts';
import { systemClock } from '../../../shared/clock.ts';
import type { InterruptionKind } from '../../../shared/interruption/interruption.ts';
import { silentLog } from '../../../shared/log.ts';
import { maintenance, spot } from './agent-values.ts';

function source(
  kind: InterruptionKind,
  look: (signal: AbortSignal) => Promise<Sighting>,
  everyLooks = 1,
): NoticeSource {
  return { name: kind, kinds: [kind], everyLooks, look };
}

const nothing: Sighting = { notices: [], remarks: [] };

/** Polls until an observation is as wanted; the test's time limit ends one that never comes. */
async function pollUntil(
  sources: readonly NoticeSource[],
  isWanted: (observation: Observation) => boolean,
  more: Partial<PollNoticesOptions> = {},
): Promise<Observation> {
  const stop = new AbortController();
  const options = { sources, clock: systemClock, log: silentLog, intervalMs: 5, ...more };
  for await (const observation of pollNotices(options, stop.signal))
    if (isWanted(observation)) {
      stop.abort();
      return observation;
    }
  throw new Error('polling has ended');
}

describe('polling', { timeout: 30_000 }, () => {
  test('a source that hangs keeps no notice of another one waiting', async () => {
    let looks = 0;
    const hangs = source('maintenance', async (signal) => {
      if (++looks === 1) return nothing;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const announces = source('spot-termination', async () => (looks < 2 ? nothing : { notices: [spot], remarks: [] }));
    const { notices, seen } = await pollUntil([hangs, announces], ({ notices: found }) => found.length > 0);
    assert.deepEqual(notices, [spot]);
    assert.deepEqual([...seen], ['spot-termination']);
  });

  test('begins with everything, so that one source alone does not judge', async () => {
    const slow = source('maintenance', () =>
      systemClock.sleep(50).then(() => ({ notices: [maintenance], remarks: [] })),
    );
    const first = await pollUntil([slow, source('spot-termination', async () => nothing)], () => true);
    assert.deepEqual(first.notices, [maintenance]);
    assert.deepEqual([...first.seen].sort(), ['maintenance', 'spot-termination']);
  });

  test('keeps what a source said while it cannot be read, and says that it is out of sight', async () => {
    let looks = 0;
    const fails = source('maintenance', async () => {
      if (++looks > 1) throw new GarbageError('no sense');
      return { notices: [maintenance], remarks: [] };
    });
    const outcomes: string[] = [];
    const { notices, blindTo } = await pollUntil([fails], (observation) => observation.blindTo.size > 0, {
      onReading: (_, outcome) => outcomes.push(outcome),
    });
    assert.deepEqual([notices, [...blindTo]], [[maintenance], ['maintenance']]);
    assert.deepEqual(outcomes, ['read', 'garbage']);
  });

  test('says a remark once, however often it is read', async () => {
    let looks = 0;
    const lines: object[] = [];
    const remarks: string[] = [];
    const odd = source('maintenance', async () => ({ notices: [], remarks: [`reading ${++looks > 3 ? 'B' : 'A'}`] }));
    await pollUntil([odd], () => looks > 6, {
      log: { ...silentLog, warn: (fields) => lines.push(fields) },
      onRemark: ({ name }) => remarks.push(name),
    });
    assert.deepEqual(
      lines.map((line) => (line as { remark: string }).remark),
      ['reading A', 'reading B'],
    );
    assert.equal(remarks.length, 2);
  });
});
