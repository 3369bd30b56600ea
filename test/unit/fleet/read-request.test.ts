import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { httpStatusOf } from '../../../fleet/agones/grpc-code.ts';
import { readAllocationDocument, readAllocationRequest } from '../../../fleet/agones/read-request.ts';
import { RequestError } from '../../../fleet/agones/request-error.ts';

function refusal(body: unknown): { code: number; status: number; message: string } {
  try {
    readAllocationRequest(body);
  } catch (error) {
    if (error instanceof RequestError)
      return { code: error.code, status: httpStatusOf(error.code), message: error.message };
    throw error;
  }
  throw new Error('It was not refused');
}

describe("a body of Agones' REST interface", () => {
  test('is read field by field', () => {
    const { request, ignored } = readAllocationRequest({
      namespace: 'arena',
      multiClusterSetting: { enabled: false },
      gameServerSelectors: [
        {
          matchLabels: { game: 'x' },
          gameServerState: 'ALLOCATED',
          counters: { rooms: { minCount: '1', maxAvailable: 5 } },
          lists: { players: { containsValue: 'p' } },
        },
        { matchLabels: {}, gameServerState: 0, players: { minAvailable: '0', maxAvailable: '99' } },
      ],
      scheduling: 'Distributed',
      priorities: [{ type: 'List', key: 'players', order: 'Descending' }, { key: 'rooms' }],
      metadata: { labels: { mode: 'deathmatch' }, annotations: { map: 'garden22', 'spotable.dev/session-id': 's-1' } },
      metaPatch: { labels: { ignored: 'yes' } },
      unknownField: 1,
    });
    assert.deepEqual(request, {
      namespace: 'arena',
      sessionId: 's-1',
      selectors: [
        {
          matchLabels: { game: 'x' },
          matchExpressions: [],
          state: 'Allocated',
          counters: { rooms: { minCount: 1, maxCount: 0, minAvailable: 0, maxAvailable: 5 } },
          lists: { players: { containsValue: 'p', minAvailable: 0, maxAvailable: 0 } },
        },
        { matchLabels: {}, matchExpressions: [], state: 'Ready', counters: {}, lists: {} },
      ],
      scheduling: 'Distributed',
      priorities: [
        { type: 'List', key: 'players', order: 'Descending' },
        { type: 'Counter', key: 'rooms', order: 'Ascending' },
      ],
      labels: { mode: 'deathmatch' },
      annotations: { map: 'garden22' },
    });
    assert.deepEqual(ignored, ['players selectors']);
  });

  test('that is empty means any game server, Packed', () => {
    const { request } = readAllocationRequest({});
    assert.equal(request.selectors.length, 1);
    assert.equal(request.scheduling, 'Packed');
    assert.equal(request.sessionId, undefined);
  });

  test('with the deprecated fields is read as selectors, the preferred ones first; they do not count beside selectors', () => {
    const required = { matchLabels: { game: 'x' } };
    const preferred = [{ matchLabels: { fleet: 'v2' } }];
    const old = { requiredGameServerSelector: required, preferredGameServerSelectors: preferred };
    const labels = (body: object) =>
      readAllocationRequest(body).request.selectors.map(({ matchLabels }) => matchLabels);
    assert.deepEqual(labels(old), [{ fleet: 'v2' }, { game: 'x' }]);
    assert.deepEqual(labels({ ...old, gameServerSelectors: [{ matchLabels: { a: 'b' } }] }), [{ a: 'b' }]);
    assert.deepEqual(readAllocationRequest({ metaPatch: { labels: { a: 'b' } } }).request.labels, { a: 'b' });
  });

  const refused: readonly (readonly [string, unknown, number, RegExp])[] = [
    ['no object', [], 400, /expected an object/],
    ['a number for a text', { namespace: 1 }, 400, /Invalid namespace: expected a text/],
    ['an unknown strategy', { scheduling: 'Random' }, 400, /Packed or Distributed/],
    ['an unknown state', { gameServerSelectors: [{ gameServerState: 'Ready' }] }, 400, /READY or ALLOCATED/],
    ['other clusters', { multiClusterSetting: { enabled: true } }, 501, /multi-cluster/],
    ['changes of counters', { counters: { rooms: { action: 'Increment', amount: '1' } } }, 501, /counters/],
    ['a bad label', { metadata: { labels: { a: 'not a label' } } }, 500, /metadata.labels/],
    ['a label of ours', { metadata: { labels: { 'spotable.dev/allocation': 'unallocated' } } }, 500, /by others/],
    ['an annotation of ours', { metadata: { annotations: { 'spotable.dev/address': 'x' } } }, 500, /by others/],
    ['a negative bound', { gameServerSelectors: [{ counters: { r: { minCount: -1 } } }] }, 500, /greater than or/],
    [
      'a maximum below the minimum',
      { gameServerSelectors: [{ lists: { r: { minAvailable: 3, maxAvailable: 2 } } }] },
      500,
      /maxAvailable/,
    ],
    ['a priority without a key', { priorities: [{}] }, 500, /key must not be nil/],
  ];
  for (const [what, body, status, message] of refused)
    test(`with ${what} is refused with ${status}`, () => {
      const error = refusal(body);
      assert.equal(error.status, status);
      assert.match(error.message, message);
    });
});

test('a document of the Kubernetes interface has words of its own for states, and match expressions', () => {
  const { request } = readAllocationDocument(
    {
      apiVersion: 'allocation.agones.dev/v1',
      kind: 'GameServerAllocation',
      spec: {
        selectors: [
          { gameServerState: 'Allocated', matchExpressions: [{ key: 'tier', operator: 'In', values: ['cache'] }] },
        ],
      },
    },
    'arena',
  );
  assert.equal(request.namespace, 'arena');
  assert.equal(request.selectors[0]?.state, 'Allocated');
  assert.deepEqual(request.selectors[0]?.matchExpressions, [{ key: 'tier', operator: 'In', values: ['cache'] }]);
  assert.throws(() => readAllocationDocument({ kind: 'Pod' }, 'arena'), /expected a GameServerAllocation/);
});
