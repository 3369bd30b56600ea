import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joinFleet, newSdkModel, type SdkModel } from '../../../wrapper/agones/model/sdk-model.ts';
import { endSession, type FleetSession, hearSession, noSession } from '../../../wrapper/fleet-session.ts';

const said = (id: string | null, endsIfNew = true) => ({
  type: 'session' as const,
  session_id: id,
  labels: { a: 'b' },
  annotations: {},
  ends_if_new: endsIfNew,
  spent: false,
});
const hear = (session: FleetSession, id: string | null, hasBeenReady = true) =>
  hearSession(session, said(id), hasBeenReady);

describe('a session', () => {
  test('begins once, however often it is said, and is withdrawn', () => {
    const begun = hear(noSession, 'm-1');
    assert.equal(begun.change, 'begun');
    assert.deepEqual(begun.session, {
      pod: { labels: { a: 'b' }, annotations: {} },
      current: 'm-1',
      taken: 'm-1',
      over: undefined,
    });
    assert.equal(hear(begun.session, 'm-1').change, 'none');
    const withdrawn = hear(begun.session, null);
    assert.equal(withdrawn.change, 'withdrawn');
    assert.equal(withdrawn.session.current, undefined);
    assert.equal(hear(withdrawn.session, null).change, 'none');
    assert.equal(hear(withdrawn.session, 'm-2').change, 'begun');
  });

  test('that the game has ended does not begin anew while the pod still bears it', () => {
    const over = endSession(hear(noSession, 'm-1').session);
    assert.deepEqual([over.current, over.over, over.taken], [undefined, 'm-1', 'm-1']);
    assert.equal(hear(over, 'm-1').change, 'none');
    const given = hear(over, null);
    assert.deepEqual([given.change, given.session.over], ['none', undefined]);
    assert.equal(hear(given.session, 'm-2').change, 'begun');
  });

  test('of a game that was never ready was that of another game: this one is to serve nobody', () => {
    assert.equal(hear(noSession, 'm-1', false).change, 'spent');
    assert.equal(hear(noSession, 'm-1', false).session.current, undefined);
    // The agent may know it better: a fast game is ready before it hears of the session.
    assert.equal(hearSession(noSession, { ...said('m-1'), spent: true }, true).change, 'spent');
    // Without the readiness gate somebody may have allocated it before it was ready.
    assert.equal(hearSession(noSession, said('m-1', false), false).change, 'begun');
  });

  test('that has no id is one, too', () => assert.equal(hear(noSession, '').change, 'begun'));
});

describe("the game's view of it", () => {
  const health = { periodMs: 5000, threshold: 3, delayMs: 0 };
  const model = (state: SdkModel['state']): SdkModel => ({
    ...newSdkModel({ counters: [], lists: [] }, health, 0),
    state,
  });
  const begun = hear(noSession, 'm-1').session;

  test('is Allocated, with the labels and annotations of its pod', () => {
    const joined = joinFleet(model('Ready'), begun, noSession);
    assert.equal(joined.state, 'Allocated');
    assert.deepEqual(joined.pod, { labels: { a: 'b' }, annotations: {} });
    assert.equal(joinFleet(joined, begun, begun), joined);
  });

  test('is Ready again when the session is withdrawn, but not when the game has shut down', () => {
    const withdrawn = hear(begun, null).session;
    assert.equal(joinFleet(model('Allocated'), withdrawn, begun).state, 'Ready');
    assert.equal(joinFleet(model('Shutdown'), withdrawn, begun).state, 'Shutdown');
    assert.equal(joinFleet(model('Shutdown'), begun, noSession).state, 'Shutdown');
  });

  test('stays what the game itself has said where no session comes or goes', () => {
    assert.equal(joinFleet(model('Allocated'), hear(noSession, null).session, noSession).state, 'Allocated');
  });
});
