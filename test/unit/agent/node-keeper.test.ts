import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PatchOutcome } from '../../../agent/cluster/cluster.ts';
import { type DesiredNodeState, NodeKeeper, type NodeKeeperParts } from '../../../agent/node-state/node-keeper.ts';
import { interruptionTaint, type NodeView } from '../../../agent/node-state/node-mark.ts';
import type { Clock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { node, planned, rebalance, spot } from './agent-values.ts';

/** Sleeps that are over at once. */
const hurriedClock: Clock = { now: () => 0, sleep: () => new Promise((resolve) => setImmediate(resolve)) };

const marked = (interruption = planned(spot)): DesiredNodeState => ({
  kind: 'marked',
  interruption,
  options: { excludeFromLoadBalancers: false, isOutOfService: false },
});

type Answer = PatchOutcome | Error | Promise<PatchOutcome>;

/** A node whose patches are answered by a script; after it every patch succeeds. */
class ScriptedNode {
  readonly patches: { readonly patch: unknown; readonly resourceVersion: string }[] = [];
  reads = 0;
  current: NodeView | undefined = node();
  watched: NodeView | undefined = node();
  readonly #answers: Answer[];

  constructor(...answers: Answer[]) {
    this.#answers = answers;
  }

  readonly cluster: NodeKeeperParts['cluster'] = {
    node: () => this.watched,
    readNode: async () => {
      this.reads++;
      return this.current;
    },
    patchNode: async (patch, resourceVersion) => {
      this.patches.push({ patch, resourceVersion });
      const answer = await this.#answers.shift();
      if (answer instanceof Error) throw answer;
      return answer ?? { kind: 'patched', node: node() };
    },
  };
}

async function keeping(
  scripted: ScriptedNode,
  act: (keeper: NodeKeeper) => Promise<void>,
  parts: Partial<NodeKeeperParts> = {},
): Promise<void> {
  const stop = new AbortController();
  const common = { cluster: scripted.cluster, clock: hurriedClock, log: silentLog, random: () => 0.5 };
  const keeper = new NodeKeeper({ ...common, ...parts });
  const running = keeper.run(stop.signal);
  try {
    await act(keeper);
  } finally {
    stop.abort();
    await running;
  }
}

describe('the keeper of the node', () => {
  test('patches the node as the watch has it, without reading it first', async () => {
    const scripted = new ScriptedNode();
    await keeping(scripted, async (keeper) => {
      assert.equal(await keeper.setDesired(marked()), 'done');
    });
    assert.equal(scripted.patches.length, 1);
    assert.equal(scripted.patches[0]?.resourceVersion, '7');
    assert.equal(scripted.reads, 0);
  });

  test('reads and patches again after a conflict, and keeps the taint that the other one wrote', async () => {
    const scripted = new ScriptedNode({ kind: 'conflict' }, { kind: 'conflict' });
    const foreign = { key: 'dedicated', value: 'games', effect: 'NoSchedule' };
    scripted.current = node({ resourceVersion: '8', taints: [foreign] });
    await keeping(scripted, async (keeper) => {
      assert.equal(await keeper.setDesired(marked()), 'done');
    });
    const { patch, resourceVersion } = scripted.patches.at(-1) ?? {};
    assert.equal(resourceVersion, '8');
    const { taints } = (patch as { spec: { taints: { key: string }[] } }).spec;
    assert.deepEqual(
      taints.map(({ key }) => key),
      ['dedicated', interruptionTaint],
    );
  });

  test('tries again after failures until it is done', async () => {
    const scripted = new ScriptedNode(...Array.from({ length: 20 }, () => new Error('503')));
    await keeping(scripted, async (keeper) => {
      assert.equal(await keeper.setDesired(marked()), 'done');
    });
    assert.equal(scripted.patches.length, 21);
  });

  const always: readonly [string, Answer][] = [
    ['refuses every patch', new Error('403 Forbidden')],
    ['answers every patch with a conflict', { kind: 'conflict' }],
  ];
  for (const [name, answer] of always)
    test(`asks a server that ${name} ever more seldom, and says why once`, async () => {
      const scripted = new ScriptedNode(...Array.from({ length: 60 }, () => answer));
      const [pausesMs, said]: [number[], string[]] = [[], []];
      let [early, running] = [0, 0];
      const sleep: Clock['sleep'] = async (ms) => {
        pausesMs.push(ms);
        if (running++ > 0) early++;
        await hurriedClock.sleep(0);
        running--;
      };
      const clock: Clock = { now: () => 0, sleep };
      const log = { ...silentLog, warn: (fields: object) => void said.push((fields as { err: string }).err) };
      await keeping(
        scripted,
        async (keeper) => {
          // Replaced while it fails: that ends one pause, and must not end those of the next one.
          void keeper.setDesired(marked(planned(rebalance)));
          while (scripted.patches.length < 2) await hurriedClock.sleep(0);
          assert.equal(await keeper.setDesired(marked()), 'done');
        },
        { clock, log },
      );
      const long = pausesMs.filter((ms) => ms > 50);
      assert.deepEqual(long.slice(-40), Array<number>(40).fill(1500), 'up to 2 s');
      assert.ok(said.length <= 2, 'once for each request at most');
      assert.ok(early <= 1, `${early} attempts before their pause was over`);
    });

  test('never writes an older request after a newer one', async () => {
    const first = Promise.withResolvers<PatchOutcome>();
    const scripted = new ScriptedNode(first.promise);
    await keeping(scripted, async (keeper) => {
      const held = keeper.setDesired(marked(planned(rebalance)));
      while (scripted.patches.length === 0) await hurriedClock.sleep(0);
      const drained = keeper.setDesired(marked(planned(spot)));
      first.resolve({ kind: 'conflict' });
      assert.equal(await held, 'replaced');
      assert.equal(await drained, 'done');
    });
    assert.match(JSON.stringify(scripted.patches.at(-1)), /spot-termination/);
  });

  test('costs no call where the node looks as wanted', async () => {
    const scripted = new ScriptedNode();
    await keeping(scripted, async (keeper) => {
      assert.equal(await keeper.setDesired({ kind: 'unmarked' }), 'done');
      assert.equal(keeper.isBusy, false);
    });
    assert.equal(scripted.patches.length, 0);
  });

  test('says so where there is no such node any more', async () => {
    const scripted = new ScriptedNode({ kind: 'gone' });
    await keeping(scripted, async (keeper) => {
      assert.equal(await keeper.setDesired(marked()), 'gone');
      scripted.watched = undefined;
      scripted.current = undefined;
      assert.equal(await keeper.setDesired(marked()), 'gone');
    });
  });

  test('settles what is still desired when it ends', async () => {
    const scripted = new ScriptedNode(new Promise<PatchOutcome>(() => {}));
    const stop = new AbortController();
    const keeper = new NodeKeeper({ cluster: scripted.cluster, clock: hurriedClock, log: silentLog });
    stop.abort();
    const desired = keeper.setDesired(marked());
    await keeper.run(stop.signal);
    assert.equal(await desired, 'replaced');
  });
});
