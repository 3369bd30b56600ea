import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readAllocationDocument } from '../../../fleet/agones/read-request.ts';
import { type AllocationRequest, anyGameServer } from '../../../fleet/allocation/allocation-request.ts';
import { chooseGameServer, compareNames } from '../../../fleet/allocation/choose.ts';
import type { ClusterState } from '../../../fleet/cluster/cluster-view.ts';
import type { GameServerPod } from '../../../fleet/cluster/game-server-pod.ts';
import { readNode } from '../../../fleet/cluster/node-view.ts';
import { allocatedPod, node, pod, stateOf } from './state.ts';

const anything: AllocationRequest = {
  namespace: 'arena',
  sessionId: undefined,
  selectors: [anyGameServer],
  scheduling: 'Packed',
  priorities: [],
  labels: {},
  annotations: {},
};

function choose(state: ClusterState, request: Partial<AllocationRequest> = {}, random = () => 0.5): string | undefined {
  const from = { ...state, isExcluded: () => false, compareEquals: compareNames, random };
  return chooseGameServer({ ...anything, ...request }, from)?.pod.name;
}

/** The document as it stands in a guide of Agones. */
function fromGuide(spec: object): Partial<AllocationRequest> {
  const document = { apiVersion: 'allocation.agones.dev/v1', kind: 'GameServerAllocation', spec };
  return readAllocationDocument(document, 'arena').request;
}

/** Agones' guide to updates of fleets: prefer v2, take any other of the game. */
const selectors = fromGuide({
  selectors: [{ matchLabels: { 'agones.dev/fleet': 'v2' } }, { matchLabels: { game: 'my-awesome-game' } }],
});
const requiredAndPreferred = fromGuide({
  required: { matchLabels: { game: 'my-awesome-game' } },
  preferred: [{ matchLabels: { 'agones.dev/fleet': 'v2' } }],
});

const game = { game: 'my-awesome-game' };
const v1 = (name: string, change: Partial<GameServerPod> = {}) =>
  pod(name, { ...change, labels: { ...game, 'spotable.dev/fleet': 'v1' } });
const v2 = (name: string, change: Partial<GameServerPod> = {}) =>
  pod(name, { ...change, labels: { ...game, 'agones.dev/fleet': 'v2' } });

describe("the two allocations of Agones' guide to fleet updates", () => {
  const sets: readonly (readonly [string, readonly GameServerPod[], string | undefined])[] = [
    ['v2 is there', [v1('a'), v2('b')], 'b'],
    ['v2 is there twice', [v2('c'), v1('a'), v2('b')], 'b'],
    ['only v1 is there', [v1('a')], 'a'],
    ['v2 is not ready', [v1('a'), v2('b', { isReady: false })], 'a'],
    ['v2 is allocated', [v1('a'), allocatedPod('b', { labels: { ...game, 'agones.dev/fleet': 'v2' } })], 'a'],
    ['v2 is ending', [v1('a'), v2('b', { isDeleting: true })], 'a'],
    ['another game', [pod('a', { labels: { game: 'other' } })], undefined],
    ['nothing', [], undefined],
  ];
  for (const [what, pods, expected] of sets)
    test(`where ${what} both forms give ${expected ?? 'none'}`, () => {
      assert.equal(choose(stateOf({ pods }), selectors), expected);
      assert.equal(choose(stateOf({ pods }), requiredAndPreferred), expected);
    });
});

describe('what is never given', () => {
  const unfit: readonly (readonly [string, ClusterState])[] = [
    ['a game server that is not ready', stateOf({ pods: [pod('a', { isReady: false })] })],
    ['one that is being deleted', stateOf({ pods: [pod('a', { isDeleting: true })] })],
    ['one of another namespace', stateOf({ pods: [pod('a', { namespace: 'other' })] })],
    ['one with a session', stateOf({ pods: [allocatedPod('a')] })],
    ['one on a node that is going', stateOf({ pods: [pod('a')], nodes: [node('n-1', { unfit: 'cordoned' })] })],
    ['one on a node that nobody knows', stateOf({ pods: [pod('a')], nodes: [] })],
    ['one without a node', stateOf({ pods: [pod('a', { nodeName: undefined })] })],
  ];
  for (const [what, state] of unfit) test(what, () => assert.equal(choose(state), undefined));

  test('a spent one, asked for as an allocated one', () => {
    const allocated = { selectors: [{ ...anyGameServer, state: 'Allocated' as const }] };
    assert.equal(choose(stateOf({ pods: [allocatedPod('a')] }), allocated), 'a');
    assert.equal(choose(stateOf({ pods: [allocatedPod('a', { restarts: 1 })] }), allocated), undefined);
  });
});

test('a node is unfit from the cordon, taint or mark on that anybody sets on it', () => {
  const metadata = { name: 'n' };
  const ready = [{ type: 'Ready', status: 'True' }];
  assert.equal(readNode({ metadata, status: { conditions: ready } })?.unfit, undefined);
  assert.equal(readNode({ metadata, spec: { unschedulable: true } })?.unfit, 'cordoned');
  assert.equal(
    readNode({ metadata, spec: { taints: [{ key: 'spotable.dev/interruption', effect: 'NoSchedule' }] } })?.unfit,
    'taint spotable.dev/interruption',
  );
  assert.equal(
    readNode({ metadata: { name: 'n', annotations: { 'spotable.dev/interruption': '{}' } } })?.unfit,
    'interrupted or at risk',
  );
  assert.equal(
    readNode({ metadata, spec: { taints: [{ key: 'karpenter.sh/disrupted', effect: 'NoSchedule' }] } })?.unfit,
    'taint karpenter.sh/disrupted',
  );
  assert.equal(
    readNode({ metadata, status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } })?.unfit,
    'not ready',
  );
  assert.equal(
    readNode({ metadata, spec: { taints: [{ key: 'dedicated', effect: 'NoSchedule' }] } })?.unfit,
    undefined,
  );
});

describe('the order', () => {
  test('Packed takes the node with the most sessions, then the one with the most ready game servers, then the name', () => {
    const on = (nodeName: string) => ({ nodeName });
    const pods = [pod('a', on('n-1')), pod('b', on('n-2')), pod('c', on('n-2')), pod('d', on('n-3'))];
    assert.equal(choose(stateOf({ pods })), 'b');
    assert.equal(choose(stateOf({ pods: [...pods, allocatedPod('s', on('n-3'))] })), 'd');
    assert.equal(choose(stateOf({ pods: [...pods, allocatedPod('s', { ...on('n-3'), restarts: 1 })] })), 'b');
  });

  test('Distributed takes any by chance, each as likely as the others', () => {
    const pods = ['a', 'b', 'c', 'd'].map((name) => pod(name));
    const counts = new Map<string, number>();
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let round = 0; round < 4000; round++) {
      const chosen = choose(stateOf({ pods }), { scheduling: 'Distributed' }, random) ?? '';
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
    }
    for (const name of ['a', 'b', 'c', 'd']) {
      const count = counts.get(name) ?? 0;
      assert.ok(count > 850 && count < 1150, `${name}: ${count}`);
    }
  });

  test("priorities order by what is available; a game server without the counter comes last, as in Agones' comparison", () => {
    const rooms = (name: string, counter: string | undefined) =>
      pod(name, counter === undefined ? {} : { annotations: { 'spotable.dev/counter.rooms': counter } });
    const pods = [rooms('none', undefined), rooms('one', '9/10'), rooms('five', '5/10')];
    const by = (order: 'Ascending' | 'Descending') => ({
      scheduling: 'Distributed' as const,
      priorities: [{ type: 'Counter' as const, key: 'rooms', order }],
    });
    assert.equal(choose(stateOf({ pods }), by('Ascending')), 'one');
    assert.equal(choose(stateOf({ pods }), by('Descending')), 'five');
    assert.equal(choose(stateOf({ pods: pods.slice(0, 1) }), by('Ascending')), 'none');
  });
});

describe('selectors of counters and lists', () => {
  const state = stateOf({
    pods: [
      pod('a', {
        annotations: {
          'spotable.dev/counter.rooms': '3/10',
          'spotable.dev/list.players': JSON.stringify({ capacity: 4, values: ['x6k8z'] }),
        },
      }),
    ],
  });
  const cases: readonly (readonly [object, boolean])[] = [
    [{ counters: { rooms: {} } }, true],
    [{ counters: { rooms: { minCount: 3, maxCount: 3, minAvailable: 7, maxAvailable: 7 } } }, true],
    [{ counters: { rooms: { minCount: 4 } } }, false],
    [{ counters: { rooms: { maxCount: 2 } } }, false],
    [{ counters: { rooms: { minAvailable: 8 } } }, false],
    [{ counters: { rooms: { maxAvailable: 6 } } }, false],
    [{ counters: { other: {} } }, false],
    [{ lists: { players: { containsValue: 'x6k8z', minAvailable: 1 } } }, true],
    [{ lists: { players: { containsValue: 'nobody' } } }, false],
    [{ lists: { players: { minAvailable: 4 } } }, false],
    [{ lists: { players: { maxAvailable: 2 } } }, false],
    [{ lists: { other: {} } }, false],
    [{ matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] }, true],
    [{ matchExpressions: [{ key: 'tier', operator: 'In', values: ['cache'] }] }, false],
    [{ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['cache'] }] }, true],
  ];
  for (const [selector, fits] of cases)
    test(`${JSON.stringify(selector)} ${fits ? 'fits' : 'does not fit'}`, () =>
      assert.equal(choose(state, fromGuide({ selectors: [selector] })), fits ? 'a' : undefined));
});
