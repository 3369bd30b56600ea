import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type TokenVerdict, type VerifyParts, verifyHello } from '../../../agent/link/verify-hello.ts';
import type { HelloMessage } from '../../../shared/link/link-message.ts';
import { pod } from './agent-values.ts';

const hello: HelloMessage = {
  type: 'hello',
  version: 1,
  game_server_id: 'gs-1.x',
  namespace: 'arena',
  pod: 'gs-1',
  pod_uid: 'uid-gs-1',
  ports: {},
  token: 'abc',
};
const own: TokenVerdict = { kind: 'pod', podUid: 'uid-gs-1', namespace: 'arena', podName: 'gs-1' };

function verify(changes: Partial<Record<keyof HelloMessage, unknown>>, parts: Partial<VerifyParts> = {}) {
  const said = { ...hello, ...changes } as HelloMessage;
  return verifyHello(
    { pods: () => [pod()], reviewToken: async () => own, ...parts },
    said,
    new AbortController().signal,
  );
}

describe('a wrapper', () => {
  const table = [
    { name: 'whose token is bound to its pod is believed', verdict: verify({}), kind: 'own-pod' },
    { name: 'without a pod uid is a stranger', verdict: verify({ pod_uid: undefined }), kind: 'stranger' },
    { name: 'without a token has proved nothing', verdict: verify({ token: undefined }), kind: 'unproven' },
    {
      name: 'that names another pod than its uid has is a stranger',
      verdict: verify({ pod: 'gs-2' }),
      kind: 'stranger',
    },
    {
      name: 'that names another namespace than its uid has is a stranger',
      verdict: verify({ namespace: 'x' }),
      kind: 'stranger',
    },
    {
      name: 'of a pod that is not on this node, or not seen yet, may be asked again',
      verdict: verify({ pod_uid: 'u' }),
      kind: 'unknown',
    },
    {
      name: 'may be asked again while the pods are not known',
      verdict: verify({}, { pods: () => undefined }),
      kind: 'unknown',
    },
    {
      name: "that brings another pod's token is a stranger",
      verdict: verify({}, { reviewToken: async () => ({ ...own, podUid: 'uid-gs-2' }) as TokenVerdict }),
      kind: 'stranger',
    },
    {
      name: 'whose token the API server refuses is a stranger',
      verdict: verify({}, { reviewToken: async () => ({ kind: 'refused', reason: 'expired' }) }),
      kind: 'stranger',
    },
    {
      name: 'may be asked again when the API server does not answer',
      verdict: verify({}, { reviewToken: async () => Promise.reject(new Error('503')) }),
      kind: 'unknown',
    },
    {
      name: 'is believed without a token where pods are trusted',
      verdict: verify({ token: undefined }, { reviewToken: undefined }),
      kind: 'own-pod',
    },
  ];
  for (const { name, verdict, kind } of table)
    test(name, async () => {
      assert.equal((await verdict).kind, kind);
    });

  test('that is a stranger by its words alone costs no call', async () => {
    let calls = 0;
    const reviewToken = async (): Promise<TokenVerdict> => {
      calls++;
      return own;
    };
    for (const changes of [{ pod_uid: undefined }, { pod_uid: 'u' }, { pod: 'gs-2' }, { token: undefined }])
      await verify(changes, { reviewToken });
    assert.equal(calls, 0);
  });
});
