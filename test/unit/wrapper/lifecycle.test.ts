import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { EndCause } from '../../../wrapper/life/end-plan.ts';
import {
  advance,
  type Effect,
  endOf,
  exitStatusOf,
  initialLife,
  type Life,
  type LifeEvent,
  type LifeRules,
  nextMoveMs,
  statusOf,
} from '../../../wrapper/life/lifecycle.ts';

const rules: LifeRules = { gracePeriodMs: 30_000, stopLeadMs: undefined, whenUnhealthy: 'tell' };
const patient: LifeRules = { ...rules, stopLeadMs: 30_000 };

const spot: EndCause = {
  id: 'i-1/spot-termination',
  via: 'link',
  reason: 'spot-termination',
  deadlineMs: 120_000,
  endByMs: 115_000,
};
const sooner: EndCause = { ...spot, deadlineMs: 60_000, endByMs: 55_000 };
const shutdown: EndCause = {
  ...{ id: 'shutdown', via: 'wrapper', reason: 'shutdown', deadlineMs: undefined },
  ...{ endByMs: 30_010, notToldBeforeMs: 1010 },
};
const maintenance: EndCause = {
  ...spot,
  id: 'i-1/maintenance',
  reason: 'maintenance',
  deadlineMs: 90_000,
  endByMs: 85_000,
};

interface Moment {
  readonly atMs: number;
  readonly lifeEvent: LifeEvent;
}

const at = (atMs: number, lifeEvent: LifeEvent): Moment => ({ atMs, lifeEvent });
const prepared: LifeEvent = { kind: 'prepared' };
const ready: LifeEvent = { kind: 'game-ready' };
const announced = (cause: EndCause): LifeEvent => ({ kind: 'end-announced', cause });
const cancelled = ({ id }: EndCause): LifeEvent => ({ kind: 'end-cancelled', id });
const sigterm: LifeEvent = { kind: 'signal', signal: 'SIGTERM' };
const sigint: LifeEvent = { kind: 'signal', signal: 'SIGINT' };
const exited = (code: number): LifeEvent => ({ kind: 'game-exited', exit: { code } });

/** Lives through the moments; every time that the life waits for comes up by itself, as the wrapper's loop has it. */
function live(moments: readonly Moment[], lifeRules: LifeRules = rules, untilMs = 0): { life: Life; story: string[] } {
  let life = initialLife;
  const story: string[] = [];
  const step = (atMs: number, lifeEvent: LifeEvent) => {
    const next = advance(life, lifeEvent, lifeRules, atMs);
    life = next.life;
    story.push(...next.effects.map((effect) => `${atMs} ${tell(effect)}`));
  };
  const passTime = (limitMs: number) => {
    for (let dueMs = nextMoveMs(life, lifeRules); dueMs !== undefined && dueMs <= limitMs; ) {
      step(Math.max(dueMs, 0), { kind: 'time-passed' });
      const nextDueMs = nextMoveMs(life, lifeRules);
      assert.notEqual(nextDueMs, dueMs, 'a time that has passed must not be waited for again');
      dueMs = nextDueMs;
    }
  };
  for (const { atMs, lifeEvent } of moments) {
    passTime(atMs - 1);
    step(atMs, lifeEvent);
  }
  passTime(untilMs);
  return { life, story };
}

function tell(effect: Effect): string {
  switch (effect.kind) {
    case 'publish':
      return effect.event;
    case 'stop-game':
    case 'forward-signal':
      return `${effect.kind} ${effect.signal}`;
    default:
      return effect.kind;
  }
}

const born = [at(0, prepared)];
const readyAt5 = [...born, at(5, ready)];
const birth = ['0 start-game', '0 starting'];

suite('A game server', () => {
  const table: { name: string; moments: Moment[]; rules?: LifeRules; untilMs?: number; story: string[] }[] = [
    { name: 'starts its game as soon as it is prepared', moments: born, story: birth },
    {
      name: 'is ready once, however often that is said',
      moments: [...readyAt5, at(6, ready)],
      story: [...birth, '5 ready'],
    },
    {
      name: 'whose game ends before it is ready is terminated and never ready',
      moments: [...born, at(5, exited(3))],
      story: [...birth, '5 terminated'],
    },
    {
      name: 'told of an interruption announces it, stops the game at once and kills it one second before the end',
      moments: [...readyAt5, at(10, announced(spot))],
      untilMs: 200_000,
      story: [...birth, '5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating', '114000 kill-game'],
    },
    {
      name: 'that has shut itself down has a moment to be gone before anybody tells it',
      moments: [...readyAt5, at(10, announced(shutdown)), at(400, exited(0))],
      untilMs: 200_000,
      story: [...birth, '5 ready', '10 announce-end', '10 terminating', '400 terminated'],
    },
    {
      name: 'that has shut itself down and stays is told after that moment, or as soon as somebody else wants its end',
      moments: [...readyAt5, at(10, announced(shutdown))],
      untilMs: 2000,
      story: [...birth, '5 ready', '10 announce-end', '10 terminating', '1010 stop-game SIGTERM'],
    },
    {
      name: 'that has shut itself down is told at once where a SIGTERM follows',
      moments: [...readyAt5, at(10, announced(shutdown)), at(20, sigterm)],
      untilMs: 2000,
      story: [...birth, '5 ready', '10 announce-end', '10 terminating', '20 stop-game SIGTERM'],
    },
    {
      name: 'told of the same interruption again does nothing',
      moments: [...readyAt5, at(10, announced(spot)), at(20, announced(spot))],
      story: [...birth, '5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating'],
    },
    {
      name: 'told of a sooner end moves the kill forward and says so',
      moments: [...readyAt5, at(10, announced(spot)), at(20, announced(sooner))],
      untilMs: 200_000,
      story: [
        ...birth,
        ...['5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating'],
        ...['20 move-end', '20 heartbeat', '54000 kill-game'],
      ],
    },
    {
      name: 'told that the same interruption comes later moves its kill back',
      moments: [...readyAt5, at(10, announced(sooner)), at(20, announced(spot))],
      untilMs: 200_000,
      story: [
        ...birth,
        ...['5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating'],
        ...['20 move-end', '20 heartbeat', '114000 kill-game'],
      ],
    },
    {
      name: 'with two interruptions goes by the sooner one',
      moments: [...readyAt5, at(10, announced(spot)), at(20, announced(maintenance))],
      untilMs: 200_000,
      story: [
        ...birth,
        ...['5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating'],
        ...['20 move-end', '20 heartbeat', '84000 kill-game'],
      ],
    },
    {
      name: 'that is interrupted keeps its end when SIGTERM follows, once and again',
      moments: [...readyAt5, at(10, announced(spot)), at(20, sigterm), at(5000, sigterm), at(6000, sigterm)],
      untilMs: 200_000,
      story: [...birth, '5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating', '114000 kill-game'],
    },
    {
      name: 'that gets SIGTERM alone has its grace period, less the reserve',
      moments: [...readyAt5, at(10, sigterm)],
      untilMs: 200_000,
      story: [...birth, '5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating', '29010 kill-game'],
    },
    {
      name: 'that learns of an interruption after SIGTERM keeps the sooner end',
      moments: [...readyAt5, at(10, sigterm), at(20, announced(spot))],
      untilMs: 200_000,
      story: [
        ...birth,
        ...['5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating'],
        ...['20 move-end', '20 heartbeat', '29010 kill-game'],
      ],
    },
    {
      name: 'that gets SIGINT stops its game with SIGINT',
      moments: [...readyAt5, at(10, sigint)],
      story: [...birth, '5 ready', '10 announce-end', '10 stop-game SIGINT', '10 terminating'],
    },
    {
      name: 'that gets a second SIGTERM hurries, and a third one kills',
      moments: [...readyAt5, at(10, sigterm), at(1000, sigterm), at(2000, sigterm)],
      untilMs: 200_000,
      story: [
        ...birth,
        '5 ready',
        '10 announce-end',
        '10 stop-game SIGTERM',
        '10 terminating',
        '1000 hurry-stop',
        '2000 hurry-stop',
        '2000 kill-game',
      ],
    },
    {
      name: 'that gets a second SIGTERM kills its game five seconds later',
      moments: [...readyAt5, at(10, sigterm), at(1000, sigterm)],
      untilMs: 200_000,
      story: [
        ...birth,
        '5 ready',
        '10 announce-end',
        '10 stop-game SIGTERM',
        '10 terminating',
        '1000 hurry-stop',
        '6000 kill-game',
      ],
    },
    {
      name: 'with --stop-at plays on until then',
      moments: [...readyAt5, at(10, announced(spot))],
      rules: patient,
      untilMs: 200_000,
      story: [...birth, '5 ready', '10 announce-end', '10 terminating', '85000 stop-game SIGTERM', '114000 kill-game'],
    },
    {
      name: 'with --stop-at is not stopped by the SIGTERM that the drain sends',
      moments: [...readyAt5, at(10, announced(spot)), at(50, sigterm)],
      rules: patient,
      untilMs: 100_000,
      story: [...birth, '5 ready', '10 announce-end', '10 terminating', '85000 stop-game SIGTERM'],
    },
    {
      name: 'with --stop-at stops at the second SIGINT of a person',
      moments: [...readyAt5, at(10, sigint), at(1000, sigint)],
      rules: { ...patient, stopLeadMs: 5000 },
      story: [...birth, '5 ready', '10 announce-end', '10 terminating', '1000 stop-game SIGINT', '1000 hurry-stop'],
    },
    {
      name: 'whose interruption is cancelled before its game was told is ready again',
      moments: [...readyAt5, at(10, announced(spot)), at(20, cancelled(spot))],
      rules: patient,
      untilMs: 200_000,
      story: [...birth, '5 ready', '10 announce-end', '10 terminating', '20 withdraw-end', '20 ready'],
    },
    {
      name: 'whose interruption is cancelled after its game was told ends all the same',
      moments: [...readyAt5, at(10, announced(spot)), at(20, cancelled(spot))],
      untilMs: 200_000,
      story: [...birth, '5 ready', '10 announce-end', '10 stop-game SIGTERM', '10 terminating', '114000 kill-game'],
    },
    {
      name: 'ignores the cancellation of what it never heard of',
      moments: [...readyAt5, at(10, announced(spot)), at(20, cancelled(maintenance))],
      rules: patient,
      story: [...birth, '5 ready', '10 announce-end', '10 terminating'],
    },
    {
      name: 'told before its game was started holds it, and starts it when the interruption is cancelled',
      moments: [at(0, announced(spot)), at(1, prepared), at(2, announced(spot)), at(50, cancelled(spot))],
      story: ['1 hold-game', '50 start-game', '50 starting'],
    },
    {
      name: 'that is held ends at the end without ever starting its game',
      moments: [at(0, announced(spot)), at(1, prepared)],
      untilMs: 200_000,
      story: ['1 hold-game'],
    },
    {
      name: 'passes on every other signal',
      moments: [
        ...readyAt5,
        at(6, { kind: 'signal', signal: 'SIGUSR1' }),
        at(7, sigterm),
        at(8, { kind: 'signal', signal: 'SIGHUP' }),
      ],
      story: [
        ...birth,
        ...['5 ready', '6 forward-signal SIGUSR1', '7 announce-end', '7 stop-game SIGTERM', '7 terminating'],
        '8 forward-signal SIGHUP',
      ],
    },
    {
      name: 'whose game is not ready in time is ended',
      moments: [...born, at(600, { kind: 'game-not-ready', missing: 'not bound' })],
      untilMs: 200_000,
      story: [...birth, '600 announce-end', '600 stop-game SIGTERM', '600 terminating', '29600 kill-game'],
    },
    {
      name: 'that falls ill is not ready until it is well again',
      moments: [
        ...readyAt5,
        at(6, { kind: 'health-checked', problem: 'port gone' }),
        at(7, { kind: 'health-checked', problem: undefined }),
      ],
      story: [...birth, '5 ready', '6 starting', '7 ready'],
    },
    {
      name: 'that falls ill is ended where that is wanted',
      moments: [...readyAt5, at(6, { kind: 'health-checked', problem: 'port gone' })],
      rules: { ...rules, whenUnhealthy: 'end' },
      story: [...birth, '5 ready', '6 announce-end', '6 stop-game SIGTERM', '6 terminating'],
    },
    {
      name: 'says when it is allocated, and when no longer',
      moments: [
        ...readyAt5,
        at(6, { kind: 'allocation', isAllocated: true }),
        at(7, { kind: 'allocation', isAllocated: false }),
      ],
      story: [...birth, '5 ready', '6 allocated', '7 ready'],
    },
    {
      name: 'told when only the safety margin is left gives its game that',
      moments: [...readyAt5, at(116_000, announced(spot))],
      untilMs: 200_000,
      story: [
        ...birth,
        '5 ready',
        '116000 announce-end',
        '116000 stop-game SIGTERM',
        '116000 terminating',
        '118000 kill-game',
      ],
    },
    {
      name: 'told after the deadline still gives its game two seconds',
      moments: [...readyAt5, at(130_000, announced(spot))],
      untilMs: 200_000,
      story: [
        ...birth,
        '5 ready',
        '130000 announce-end',
        '130000 stop-game SIGTERM',
        '130000 terminating',
        '132000 kill-game',
      ],
    },
  ];
  for (const { name, moments, rules: ownRules, untilMs, story } of table)
    test(name, () => assert.deepEqual(live(moments, ownRules, untilMs).story, story));
});

suite('The end of a game server', () => {
  test('is 0 for a game that was held until SIGTERM', () => {
    const { life } = live([at(0, announced(spot)), at(1, prepared), at(2, sigterm)]);
    assert.ok(life.phase === 'ended');
    assert.equal(exitStatusOf(life), 0);
  });

  test('has the status that a shell would give', () => {
    const ended = (exit: Extract<Life, { phase: 'ended' }>['exit']) =>
      exitStatusOf({ phase: 'ended', reason: 'game-exited', deadlineMs: undefined, endByMs: undefined, exit });
    assert.deepEqual([ended({ code: 0 }), ended({ code: 255 }), ended({ signal: 'SIGTERM' })], [0, 255, 143]);
    assert.deepEqual([ended({ signal: 'SIGKILL' }), ended({ signal: 'SIGSEGV' })], [137, 139]);
  });

  test('names the interruption rather than the signal that followed from it', () => {
    const { life } = live([...born, at(1, sigterm), at(2, announced(spot))]);
    assert.deepEqual(endOf(life), { reason: 'spot-termination', deadlineMs: 120_000 });
  });

  test('names the signal rather than the illness before it, so that nobody restarts what shall stop', () => {
    const illness: LifeEvent = { kind: 'health-checked', problem: 'port gone' };
    const { life } = live([...readyAt5, at(6, illness), at(7, sigterm), at(8, exited(0))], {
      ...rules,
      whenUnhealthy: 'restart',
    });
    assert.equal(endOf(life)?.reason, 'sigterm');
  });
});

const anyCause = fc
  .record({ id: fc.constantFrom('a', 'b'), deadlineMs: fc.nat(150_000), marginMs: fc.nat(10_000) })
  .map(({ id, deadlineMs, marginMs }): EndCause => {
    return { id, via: 'link', reason: 'spot-termination', deadlineMs, endByMs: deadlineMs - marginMs };
  });
const anyLifeEvent: fc.Arbitrary<LifeEvent> = fc.oneof(
  fc.constantFrom(
    prepared,
    ready,
    sigterm,
    sigint,
    { kind: 'game-not-ready' as const, missing: 'not bound' },
    { kind: 'heartbeat-due' as const },
  ),
  anyCause.map(announced),
  fc.constantFrom('a', 'b').map((id): LifeEvent => ({ kind: 'end-cancelled', id })),
  fc.boolean().map((isAllocated): LifeEvent => ({ kind: 'allocation', isAllocated })),
  fc.option(fc.constant('gone'), { nil: undefined }).map((problem): LifeEvent => ({ kind: 'health-checked', problem })),
  fc.constantFrom(exited(0), exited(1)),
);
const anyMoments = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 20_000 }), anyLifeEvent), { maxLength: 15 })
  .map((steps) => {
    let atMs = 0;
    return steps.map(([pauseMs, lifeEvent]) => {
      atMs += pauseMs;
      return at(atMs, lifeEvent);
    });
  });

suite('Whatever happens, in whatever order', () => {
  test('the game is started once, killed at most once, and terminated is the last word', () => {
    fc.assert(
      fc.property(anyMoments, fc.boolean(), (moments, isPatient) => {
        const { story } = live(moments, isPatient ? patient : rules, 1_000_000);
        const words = story.map((line) => line.slice(line.indexOf(' ') + 1));
        const count = (word: string) => words.filter((other) => other === word).length;
        assert.ok(count('start-game') <= 1);
        assert.ok(count('kill-game') <= 1);
        assert.ok(count('terminated') <= 1);
        assert.ok(count('terminated') === 0 || words.at(-1) === 'terminated');
      }),
      { numRuns: 300 },
    );
  });

  test('a game server that has to end is killed before its deadline, or within seconds of learning it too late', () => {
    fc.assert(
      fc.property(anyMoments, (moments) => {
        const withoutExit = moments.filter(({ lifeEvent }) => lifeEvent.kind !== 'game-exited');
        const { life, story } = live(withoutExit, patient, 1_000_000);
        if (life.phase !== 'ending') return;
        assert.ok(life.isKilled);
        const killedAtMs = Number(story.find((line) => line.endsWith('kill-game'))?.split(' ')[0]);
        const endMs = Math.min(...life.causes.map(({ deadlineMs, endByMs }) => deadlineMs ?? endByMs));
        const lastLearnedMs = withoutExit.at(-1)?.atMs ?? 0;
        assert.ok(killedAtMs <= Math.max(endMs, lastLearnedMs + 2000), `killed at ${killedAtMs}, end ${endMs}`);
      }),
      { numRuns: 300 },
    );
  });

  test('each status is published only when it changes', () => {
    fc.assert(
      fc.property(anyMoments, (moments) => {
        let life = initialLife;
        let published: string | undefined;
        for (const { atMs, lifeEvent } of moments) {
          const step = advance(life, lifeEvent, patient, atMs);
          life = step.life;
          for (const effect of step.effects) {
            if (effect.kind !== 'publish' || effect.event === 'heartbeat') continue;
            assert.notEqual(effect.event, published);
            assert.equal(effect.event, statusOf(life));
            published = effect.event;
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
