import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type PodAttempt, planDrain, type Step, untried } from '../../../agent/drain/plan-drain.ts';
import type { PodView } from '../../../agent/drain/pod.ts';
import { noon, pod } from './agent-values.ts';

const gameServer = { 'spotable.dev/game-server': 'true' };
const last = { 'spotable.dev/drain': 'last' };
const endByMs = noon + 115_000;
const match = { occupied: ['match'] };

function plan(
  pods: readonly PodView[],
  nowMs = noon,
  attempts: Readonly<Record<string, Partial<PodAttempt>>> = {},
  { mayDelete = true, isAwaitingCordon = false, occupied = [] as readonly string[] } = {},
) {
  const known = Object.entries(attempts).map(([name, attempt]) => [`uid-${name}`, { ...untried, ...attempt }] as const);
  const occupancies = new Map(occupied.map((name) => [`uid-${name}`, 'occupied'] as const));
  return planDrain({ pods, attempts: new Map(known), occupancies, endByMs, nowMs, mayDelete, isAwaitingCordon });
}

function words({ steps }: { readonly steps: readonly Step[] }): string[] {
  return steps.map(
    (step) => `${step.kind} ${step.pod.name} ${step.gracePeriodSeconds}${step.kind === 'delete' ? ` ${step.why}` : ''}`,
  );
}

describe('a drain plan', () => {
  const table: readonly { name: string; plan: ReturnType<typeof plan>; steps: readonly string[] }[] = [
    { name: 'evicts a pod with its own grace', plan: plan([pod()]), steps: ['evict gs-1 30'] },
    {
      name: 'gives a game server all the time there is',
      plan: plan([pod({ labels: gameServer })]),
      steps: ['evict gs-1 115'],
    },
    {
      name: 'clamps a grace that is longer than what is left',
      plan: plan([pod({ gracePeriodSeconds: 600 })]),
      steps: ['evict gs-1 115'],
    },
    {
      name: 'never lets the kubelet kill a game server before its wrapper does',
      plan: plan([pod({ labels: gameServer })], endByMs - 24_040),
      steps: ['evict gs-1 25'],
    },
    {
      name: 'leaves a game server alone that its rounded grace takes over the end',
      plan: plan([pod({ labels: gameServer, goneByMs: endByMs + 1999 })], endByMs - 20_000),
      steps: [],
    },
    {
      name: 'ends any other pod before the end, in whole seconds',
      plan: plan([pod({ gracePeriodSeconds: 600 })], endByMs - 24_960),
      steps: ['evict gs-1 24'],
    },
    { name: 'never asks for a grace of 0', plan: plan([pod({ gracePeriodSeconds: 0 })]), steps: ['evict gs-1 1'] },
    { name: 'leaves a pod alone that is going in time', plan: plan([pod({ goneByMs: endByMs })]), steps: [] },
    {
      name: 'shortens a pod that is going, but later than the node',
      plan: plan([pod({ goneByMs: endByMs + 60_000 })]),
      steps: ['delete gs-1 115 outlives'],
    },
    {
      name: 'does not shorten twice what cannot go sooner',
      plan: plan([pod({ goneByMs: endByMs + 5000 })], endByMs + 4000),
      steps: [],
    },
    { name: 'deletes a finished pod', plan: plan([pod({ isFinished: true })]), steps: ['delete gs-1 1 finished'] },
    {
      name: 'leaves a finished pod alone that is going',
      plan: plan([pod({ isFinished: true, goneByMs: noon })]),
      steps: [],
    },
    {
      name: 'asks nothing about a pod while a call is under way',
      plan: plan([pod()], noon, { 'gs-1': { isInFlight: true } }),
      steps: [],
    },
    {
      name: 'waits as long as a refusal asks',
      plan: plan([pod()], noon, { 'gs-1': { refusals: 1, evictAfterMs: noon + 10_000 } }),
      steps: [],
    },
    {
      name: 'deletes a refused pod when only its grace is left, though the refusal asked for longer',
      plan: plan([pod()], endByMs - 30_900, { 'gs-1': { refusals: 1, evictAfterMs: endByMs } }),
      steps: ['delete gs-1 30 budget'],
    },
    {
      name: 'still asks a pod politely once when it comes late',
      plan: plan([pod()], endByMs - 10_000),
      steps: ['evict gs-1 10'],
    },
    {
      name: 'has no time to ask in the last two seconds',
      plan: plan([pod()], endByMs - 1500),
      steps: ['delete gs-1 1 late'],
    },
    {
      name: 'deletes with the shortest grace when the deadline has just passed',
      plan: plan([pod({ labels: gameServer })], endByMs + 20_000),
      steps: ['delete gs-1 1 late'],
    },
    {
      name: 'gives a pod its own grace when the deadline is long past, because the instance lives all the same',
      plan: plan([pod({ labels: gameServer }), pod({ name: 'b' })], endByMs + 600_000, { b: { refusals: 3 } }),
      steps: ['evict gs-1 30', 'evict b 30'],
    },
    {
      name: 'names a budget only where one has refused',
      plan: plan([pod({ name: 'a' }), pod({ name: 'b' }), pod({ name: 'c' })], endByMs - 1500, {
        a: { refusals: 1 },
        b: { objections: 1 },
        c: { failures: 9 },
      }),
      steps: ['delete a 1 budget', 'delete b 1 refused', 'delete c 1 late'],
    },
    {
      name: 'asks a pod politely whose calls brought no answer, though only its grace is left',
      plan: plan([pod()], endByMs - 20_000, { 'gs-1': { failures: 7 } }),
      steps: ['evict gs-1 20'],
    },
    {
      name: 'deletes a pod that somebody else than a budget refuses when only its grace is left, and not before',
      plan: plan([pod({ name: 'a' }), pod({ name: 'b', gracePeriodSeconds: 5 })], endByMs - 30_000, {
        a: { objections: 2, evictAfterMs: endByMs - 20_000 },
        b: { objections: 2, evictAfterMs: endByMs - 20_000 },
      }),
      steps: ['delete a 30 refused'],
    },
    {
      name: 'takes a pod for refused that alone is always called too much',
      plan: plan([pod()], endByMs - 30_000, { 'gs-1': { shed: 3 } }),
      steps: ['delete gs-1 30 refused'],
    },
    {
      name: 'deletes a pod whose eviction was accepted without effect',
      plan: plan([pod()], noon + 3000, { 'gs-1': { accepted: 1, untouchedUntilMs: noon + 3000 } }),
      steps: ['delete gs-1 30 no-effect'],
    },
    {
      name: 'evicts nobody before the cordon stands',
      plan: plan([pod(), pod({ name: 'done', isFinished: true })], noon, {}, { isAwaitingCordon: true }),
      steps: ['delete done 1 finished'],
    },
    {
      name: 'keeps critical pods until the others have gone, and what carries traffic after them',
      plan: plan([
        pod({ name: 'dns', priority: 2_000_000_000 }),
        pod({ name: 'game' }),
        pod({ name: 'p', labels: last }),
      ]),
      steps: ['evict game 30'],
    },
    {
      name: 'lets critical pods go before what carries traffic',
      plan: plan([pod({ name: 'dns', priority: 2_000_000_000 }), pod({ name: 'proxy', labels: last })]),
      steps: ['evict dns 30'],
    },
    {
      name: 'does not touch a pod again that was just asked, however late it is',
      plan: plan([pod()], endByMs - 5000, { 'gs-1': { untouchedUntilMs: endByMs - 3000 } }),
      steps: [],
    },
    {
      name: 'puts the pod first that loses grace first',
      plan: plan([
        pod({ name: 'a', gracePeriodSeconds: 1 }),
        pod({ name: 'b', gracePeriodSeconds: 90 }),
        pod({ name: 'c' }),
      ]),
      steps: ['evict b 90', 'evict c 30', 'evict a 1'],
    },
    {
      name: 'puts deletions before evictions, and finished pods last',
      plan: plan([
        pod({ name: 'a', isFinished: true }),
        pod({ name: 'b' }),
        pod({ name: 'c', goneByMs: endByMs + 60_000 }),
      ]),
      steps: ['delete c 115 outlives', 'evict b 30', 'delete a 1 finished'],
    },
    {
      name: 'asks budgets again only after all who were never asked',
      plan: plan([pod({ name: 'a', gracePeriodSeconds: 90 }), pod({ name: 'b' })], noon, { a: { refusals: 3 } }),
      steps: ['evict b 30', 'evict a 90'],
    },
    {
      name: 'goes on asking a budget to the end where it may not delete, and waits between two asks',
      plan: plan(
        [pod({ name: 'a' }), pod({ name: 'b' })],
        endByMs - 1000,
        { a: { refusals: 9 }, b: { refusals: 9, evictAfterMs: endByMs } },
        { mayDelete: false },
      ),
      steps: ['evict a 1'],
    },
    {
      name: 'shortens and removes by eviction where it may not delete',
      plan: plan(
        [pod({ name: 'a', goneByMs: endByMs + 60_000 }), pod({ name: 'b', isFinished: true })],
        noon,
        {},
        { mayDelete: false },
      ),
      steps: ['evict a 115', 'evict b 1'],
    },
    {
      name: 'keeps what carries the traffic until the others have gone',
      plan: plan([pod({ name: 'proxy', labels: last }), pod({ name: 'game' })]),
      steps: ['evict game 30'],
    },
    {
      name: 'lets the last tier go when no other pod is left',
      plan: plan([pod({ name: 'proxy', labels: last }), pod({ name: 'done', isFinished: true, goneByMs: noon })]),
      steps: ['evict proxy 30'],
    },
    {
      name: 'lets the last tier go when only its grace is left, whoever else is there',
      plan: plan([pod({ name: 'proxy', labels: last }), pod({ name: 'game', goneByMs: endByMs })], endByMs - 30_000),
      steps: ['evict proxy 30'],
    },
    {
      name: 'lets those who play play on, and takes the game servers that nobody plays on',
      plan: plan(
        [pod({ name: 'match', labels: gameServer }), pod({ name: 'free', labels: gameServer })],
        noon,
        {},
        match,
      ),
      steps: ['evict free 115'],
    },
    {
      name: 'asks an occupied game server when its own grace, and the time for the calls, are left',
      plan: plan([pod({ name: 'match', labels: gameServer })], endByMs - 31_300, {}, match),
      steps: [],
    },
    {
      name: 'asks it then',
      plan: plan([pod({ name: 'match', labels: gameServer })], endByMs - 31_250, {}, match),
      steps: ['evict match 32'],
    },
    {
      name: 'asks it at once where it needs more time to end than there is, though after the others',
      plan: plan([pod({ name: 'match', gracePeriodSeconds: 600 }), pod({ name: 'free' })], noon, {}, match),
      steps: ['evict free 30', 'evict match 115'],
    },
    {
      name: 'keeps what carries the traffic while somebody plays',
      plan: plan([pod({ name: 'proxy', labels: last }), pod({ name: 'match', labels: gameServer })], noon, {}, match),
      steps: [],
    },
    {
      name: 'does not believe a pause that only a clock set back can have made',
      plan: plan([pod()], noon, {
        'gs-1': { refusals: 1, untouchedUntilMs: noon + 3_600_000, evictAfterMs: noon + 3_600_000 },
      }),
      steps: ['evict gs-1 30'],
    },
  ];
  for (const { name, plan: made, steps } of table)
    test(name, () => {
      assert.deepEqual(words(made), steps);
    });

  test('gives pods their own grace, and deletes none, where nobody has to go yet', () => {
    const pods = [pod({ labels: gameServer }), pod({ name: 'refused' })];
    const attempts = new Map([['uid-refused', { ...untried, refusals: 5 }]]);
    const endless = { occupancies: new Map(), endByMs: Number.POSITIVE_INFINITY, nowMs: noon, mayDelete: true };
    assert.deepEqual(words(planDrain({ pods, attempts, ...endless })), ['evict gs-1 30', 'evict refused 30']);
  });

  test('wakes up when the next pod is due, and at least once a second', () => {
    const waiting = { 'gs-1': { refusals: 1, evictAfterMs: noon + 300 } };
    assert.equal(plan([pod()], noon, waiting).nextMs, noon + 300);
    assert.equal(plan([]).nextMs, noon + 1000);
  });
});

/** A pod in a cluster whose calls cost no time. */
interface ModelPod {
  readonly gracePeriodSeconds: number;
  readonly isGameServer: boolean;
  readonly isLast: boolean;
  readonly isOccupied: boolean;
  /** When it appears, after the notice. */
  readonly bornMs: number;
  /** From when its budget agrees; undefined: never. */
  readonly opensMs: number | undefined;
  /** It ends by itself so long after it was asked, at the latest when its grace is over. */
  readonly stopMs: number;
  /** Somebody asked it to go with this grace before the notice. */
  readonly earlierGraceSeconds: number | undefined;
}

interface Trace {
  readonly model: ModelPod;
  readonly calls: {
    readonly kind: 'evict' | 'delete';
    readonly why: string;
    readonly atMs: number;
    readonly isRefused: boolean;
  }[];
  goneMs: number | undefined;
}

const modelPod: fc.Arbitrary<ModelPod> = fc.record({
  gracePeriodSeconds: fc.integer({ min: 0, max: 600 }),
  isGameServer: fc.boolean(),
  isLast: fc.boolean(),
  isOccupied: fc.boolean(),
  bornMs: fc.constantFrom(0, 0, 0, 5000, 60_000, 110_000),
  opensMs: fc.option(fc.constantFrom(0, 0, 3000, 40_000, 100_000), { nil: undefined }),
  stopMs: fc.integer({ min: 0, max: 700_000 }),
  earlierGraceSeconds: fc.option(fc.integer({ min: 1, max: 600 }), { nil: undefined, freq: 5 }),
});

/** Runs the planner as the drain does, against pods that obey Kubernetes' rules for graces. */
function simulate(models: readonly ModelPod[], noticeMs: number): { traces: Trace[]; modelEndByMs: number } {
  const modelEndByMs = noon + noticeMs;
  const traces: Trace[] = models.map((model) => ({ model, calls: [], goneMs: undefined }));
  const going = new Map<Trace, { requestedMs: number; goneByMs: number; endsMs: number }>();
  const attempts = new Map<string, PodAttempt>();
  const occupancies = new Map(
    models.map(({ isOccupied }, index) => [`uid-${index}`, isOccupied ? 'occupied' : 'idle'] as const),
  );
  const ask = (trace: Trace, graceSeconds: number, nowMs: number) => {
    const before = going.get(trace);
    const requestedMs = before?.requestedMs ?? nowMs;
    const goneByMs = Math.min(requestedMs + graceSeconds * 1000, before?.goneByMs ?? Number.POSITIVE_INFINITY);
    // The kubelet counts a shortened grace anew, from when it hears of it.
    const killMs = nowMs + graceSeconds * 1000;
    const endsMs = Math.min(before?.endsMs ?? requestedMs + trace.model.stopMs, killMs);
    going.set(trace, { requestedMs, goneByMs, endsMs });
  };
  for (const trace of traces)
    if (trace.model.earlierGraceSeconds !== undefined && trace.model.bornMs === 0)
      ask(trace, trace.model.earlierGraceSeconds, noon);
  const lastBirthMs = noon + Math.max(...models.map(({ bornMs }) => bornMs));
  for (let nowMs = noon; nowMs <= Math.max(modelEndByMs, lastBirthMs) + 10_000; ) {
    for (const trace of traces)
      if ((going.get(trace)?.endsMs ?? Number.POSITIVE_INFINITY) <= nowMs) trace.goneMs ??= going.get(trace)?.endsMs;
    const alive = traces.filter(({ model, goneMs }) => goneMs === undefined && noon + model.bornMs <= nowMs);
    const views = new Map(
      alive.map((trace) => {
        const { model } = trace;
        const view = pod({
          name: String(traces.indexOf(trace)),
          gracePeriodSeconds: model.gracePeriodSeconds,
          labels: { ...(model.isGameServer && gameServer), ...(model.isLast && last) },
          goneByMs: going.get(trace)?.goneByMs,
        });
        return [view.uid, { trace, view }] as const;
      }),
    );
    const { steps, nextMs } = planDrain({
      pods: [...views.values()].map(({ view }) => view),
      attempts,
      endByMs: modelEndByMs,
      nowMs,
      mayDelete: true,
      occupancies,
    });
    for (const step of steps) {
      const trace = views.get(step.pod.uid)?.trace;
      assert.ok(trace !== undefined, 'no step is about a pod that is gone');
      const { opensMs } = trace.model;
      const isRefused = step.kind === 'evict' && (opensMs === undefined || nowMs < noon + opensMs);
      trace.calls.push({ kind: step.kind, why: step.kind === 'delete' ? step.why : '', atMs: nowMs, isRefused });
      const before = attempts.get(step.pod.uid) ?? untried;
      const after = isRefused
        ? { ...before, refusals: before.refusals + 1, evictAfterMs: nowMs + 1000 }
        : { ...before, untouchedUntilMs: nowMs + 3000 };
      attempts.set(step.pod.uid, after);
      if (!isRefused) ask(trace, step.gracePeriodSeconds, nowMs);
    }
    const ends = traces.flatMap((trace) => (trace.goneMs === undefined ? [going.get(trace)?.endsMs ?? []] : [])).flat();
    const births = traces.map(({ model }) => noon + model.bornMs);
    nowMs = Math.max(nowMs + 1, Math.min(nextMs, ...[...ends, ...births].filter((atMs) => atMs > nowMs)));
  }
  return { traces, modelEndByMs };
}

const scenario = fc.record({
  models: fc.array(modelPod, { minLength: 1, maxLength: 12 }),
  noticeMs: fc.constantFrom(0, 1000, 3000, 10_000, 30_000, 115_000),
});

describe('in any cluster', () => {
  test('no pod that was there in time outlives the end, because deletion is always allowed', () => {
    fc.assert(
      fc.property(scenario, ({ models, noticeMs }) => {
        const { traces, modelEndByMs } = simulate(models, noticeMs);
        for (const { model, goneMs } of traces) {
          // Long past the deadline the instance is not taken then, and nobody has to go by it.
          if (noon + model.bornMs > modelEndByMs + 30_000) continue;
          // A pod that appears in the last moments gets the shortest grace there is; half a second is the plan's own
          // granularity.
          const latestMs = Math.max(modelEndByMs, noon + model.bornMs + 1000, noon + 1000) + 2000;
          assert.ok(
            goneMs !== undefined && goneMs <= latestMs,
            `gone ${(goneMs ?? 0) - modelEndByMs} ms after the end`,
          );
        }
      }),
    );
  });

  test('no pod is deleted while its budget could still have agreed in time', () => {
    fc.assert(
      fc.property(scenario, ({ models, noticeMs }) => {
        const { traces, modelEndByMs } = simulate(models, noticeMs);
        for (const { model, calls } of traces) {
          const deletion = calls.find(({ kind, why }) => kind === 'delete' && why === 'budget');
          if (deletion === undefined) continue;
          const leftMs = modelEndByMs - deletion.atMs;
          assert.ok(leftMs <= (model.gracePeriodSeconds + 1) * 1000 || leftMs < 2000, `${leftMs} ms were left`);
        }
      }),
    );
  });

  test('a pod whose budget agrees is evicted, once, and deleted only if it would outlive the node', () => {
    fc.assert(
      fc.property(scenario, ({ models, noticeMs }) => {
        const willing = models.map((model) => ({ ...model, opensMs: 0, earlierGraceSeconds: undefined, bornMs: 0 }));
        const { traces } = simulate(willing, Math.max(noticeMs, 3000));
        for (const { calls } of traces)
          assert.deepEqual(
            calls.map(({ kind }) => kind),
            ['evict'],
          );
      }),
    );
  });

  test('a pod of the last tier goes first only when nothing but its grace is left', () => {
    fc.assert(
      fc.property(scenario, ({ models, noticeMs }) => {
        const { traces, modelEndByMs } = simulate(models, noticeMs);
        const others = traces.filter(({ model }) => !model.isLast);
        for (const { model, calls } of traces) {
          const [first] = calls;
          if (!model.isLast || first === undefined || first.why === 'outlives') continue;
          const areOthersGone = others.every(
            (other) =>
              (other.goneMs ?? Number.POSITIVE_INFINITY) <= first.atMs || noon + other.model.bornMs > first.atMs,
          );
          assert.ok(
            areOthersGone || first.atMs >= modelEndByMs - Math.max((model.gracePeriodSeconds + 1) * 1000, 5000),
          );
        }
      }),
    );
  });
});
