import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manifestProblems } from './manifest-problems.ts';

const daemonSet = (container: object, spec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'a' },
  spec: { template: { spec: { containers: [{ name: 'a', ...container }], ...spec } } },
});

test('a sound object has no problems', () => {
  assert.deepEqual(manifestProblems(daemonSet({ image: 'a:1', env: [{ name: 'A', value: '1' }] })), []);
});

const planted: readonly [string, object, RegExp][] = [
  [
    'a typo in a field',
    { securityContext: { readOnlyRootFileSystem: true } },
    /unknown field .*readOnlyRootFileSystem/,
  ],
  ['a field in the wrong place', { tolerations: [] }, /unknown field .*tolerations/],
  ['a number for a text', { env: [{ name: 'A', value: 9101 }] }, /number/],
  ['a text for a number', { ports: [{ containerPort: '9101' }] }, /string/],
  ['an object for a list', { args: { a: 'b' } }, /object/],
];
for (const [what, container, problem] of planted)
  test(`${what} is found`, () => {
    assert.match(manifestProblems(daemonSet(container)).join(), problem);
  });

test('a kind that is not known is found', () => {
  assert.match(manifestProblems({ ...daemonSet({}), kind: 'DeamonSet' }).join(), /unknown kind apps\/v1\/DeamonSet/);
  assert.match(manifestProblems({ ...daemonSet({}), apiVersion: 'apps/v1beta1' }).join(), /unknown kind/);
});

test("a typo in one of the Prometheus operator's kinds is found", () => {
  const monitor = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: { name: 'a', namespace: 'a', labels: {} },
    spec: { selector: { matchLabels: {} }, podMetricsEndpoint: [] },
  };
  assert.match(manifestProblems(monitor).join(), /podMetricsEndpoint"/);
});
