import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { authorize } from '../../../../sandbox/kubernetes/access/authorize.ts';
import { apiAudience, TokenIssuer } from '../../../../sandbox/kubernetes/access/tokens.ts';
import { anonymous, authenticated, masters, type User } from '../../../../sandbox/kubernetes/access/user.ts';
import type { PolicyRule } from '../../../../sandbox/kubernetes/objects.ts';
import { clusterRoles, roleBindings, serviceAccounts } from '../../../../sandbox/kubernetes/registry/table.ts';
import { Store } from '../../../../sandbox/kubernetes/storage/store.ts';
import { aRegistry } from './cluster-objects.ts';

const evictions: PolicyRule = { verbs: ['create'], apiGroups: [''], resources: ['pods/eviction'] };
const user = (...rules: PolicyRule[]): User => authenticated({ name: 'agent', rules });
const pods = { verb: 'get', group: '', resource: 'pods', namespace: 'arena', name: 'gs-1' };

type Wanted = Parameters<typeof authorize>[2];
const cases: readonly (readonly [title: string, who: User, wanted: Wanted, allowed: boolean])[] = [
  ['a right on a subresource gives none on the resource', user(evictions), { ...pods, verb: 'create' }, false],
  [
    'a right on a subresource gives that',
    user(evictions),
    { ...pods, verb: 'create', resource: 'pods/eviction' },
    true,
  ],
  [
    'a right on a resource gives none on its subresources',
    user({ ...evictions, resources: ['pods'] }),
    { ...pods, verb: 'create', resource: 'pods/eviction' },
    false,
  ],
  [
    'another group is another resource',
    user({ ...evictions, apiGroups: ['apps'] }),
    { ...pods, verb: 'create', resource: 'pods/eviction' },
    false,
  ],
  ['a star takes every verb', user({ verbs: ['*'], apiGroups: [''], resources: ['pods'] }), pods, true],
  [
    'a name limits a right to it',
    user({ verbs: ['get'], apiGroups: [''], resources: ['pods'], resourceNames: ['gs-1'] }),
    pods,
    true,
  ],
  [
    'a name limits a right to nothing else',
    user({ verbs: ['get'], apiGroups: [''], resources: ['pods'], resourceNames: ['gs-2'] }),
    pods,
    false,
  ],
  ['masters may do everything', { name: 'root', groups: [masters] }, pods, true],
  [
    'who is authenticated may ask what it may',
    user(),
    { verb: 'create', group: 'authorization.k8s.io', resource: 'selfsubjectaccessreviews' },
    true,
  ],
  ['anonymous may look at the health', anonymous, { verb: 'get', path: '/livez' }, true],
  ['anonymous may not look at the parts of it', anonymous, { verb: 'get', path: '/livez/ping' }, false],
  ['anonymous may not read pods', anonymous, pods, false],
];

describe('Access', () => {
  for (const [title, who, wanted, allowed] of cases) {
    it(`: ${title}`, () => assert.equal(authorize(new Store(), who, wanted) !== undefined, allowed));
  }

  it('given in a namespace ends at its border', () => {
    const { registry, store } = aRegistry();
    const names = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'reader' } };
    registry.create(clusterRoles, {
      ...names,
      kind: 'ClusterRole',
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }],
    });
    registry.create(roleBindings, {
      ...names,
      kind: 'RoleBinding',
      metadata: { name: 'reader', namespace: 'arena' },
      subjects: [{ kind: 'User', name: 'agent' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
    });
    assert.notEqual(authorize(store, user(), pods), undefined);
    assert.equal(authorize(store, user(), { ...pods, namespace: 'other' }), undefined);
  });
});

describe('A service-account token', () => {
  const { registry, store, clock } = aRegistry();
  const account = registry.create(serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'agent', namespace: 'arena' },
  });
  const issuer = new TokenIssuer(store, () => clock.nowMs);
  const token = issuer.issue({
    account,
    audiences: [apiAudience],
    lifetimeSeconds: 600,
    id: 'one',
    nowMs: clock.nowMs,
  });

  it('stands for its account', () => {
    const verdict = issuer.check(token, [apiAudience]);
    assert.equal(verdict.kind === 'valid' && verdict.user.name, 'system:serviceaccount:arena:agent');
  });

  it('is refused once it has expired', () => {
    const later = new TokenIssuer(store, () => clock.nowMs + 600_000);
    const own = later.issue({ account, audiences: [apiAudience], lifetimeSeconds: 600, id: 'two', nowMs: clock.nowMs });
    assert.equal(later.check(own, [apiAudience]).kind, 'refused');
  });

  it('is refused when anything in it was changed', () => {
    const [head = '', body = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as { sub: string };
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'system:serviceaccount:kube-system:admin' })).toString(
      'base64url',
    );
    assert.equal(issuer.check(`${head}.${forged}.${signature}`, [apiAudience]).kind, 'refused');
    assert.equal(issuer.check('not.a.token', [apiAudience]).kind, 'refused');
  });
});
