import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ApiServer, startApiServer } from '../../sandbox/kubernetes/api-server.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { type Answer, ApiCaller, type Request } from './support/api-caller.ts';
import { normalise } from './support/normalise.ts';
import { onCluster, testCluster } from './support/test-cluster.ts';

/** One request to both servers. It may use earlier answers of the same server. */
interface Step extends Request {
  readonly what: string;
  /** Repeat on both servers until the answer shows the effect of a controller. */
  readonly until?: (body: Answer['body']) => boolean;
}
type Play = (call: (step: Step) => Promise<Answer>) => Promise<void>;

const run = `double-${process.pid}`;
const node = `/api/v1/nodes/${run}`;
const arena = `/api/v1/namespaces/${run}`;
const pods = `${arena}/pods`;
const budgets = `/apis/policy/v1/namespaces/${run}/poddisruptionbudgets`;
const deployments = `/apis/apps/v1/namespaces/${run}/deployments`;
const merge = 'application/merge-patch+json';
const strategic = 'application/strategic-merge-patch+json';
/** Names of a Deployment's ReplicaSet and its pods. */
const generated = [/\bfleet-[a-z0-9]{8,10}(-[a-z0-9]{5})?/g, /^[a-z0-9]{9,10}$/g];
const ready = { conditions: [{ type: 'Ready', status: 'True' }] };

const pod = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    containers: [{ name: 'game', image: 'demo:1' }],
    nodeName: run,
    terminationGracePeriodSeconds: 30,
    automountServiceAccountToken: false,
    ...spec,
  },
});
const uidOf = ({ body }: Answer) => (body['metadata'] as { uid: string }).uid;
const versionOf = ({ body }: Answer) => (body['metadata'] as { resourceVersion: string }).resourceVersion;

const plays: Readonly<Record<string, Play>> = {
  'nodes: cordon, taints, annotations, conflicts': async (call) => {
    const first = await call({ what: 'a node', method: 'GET', path: node });
    const patch = (what: string, body: unknown, contentType = merge) =>
      call({ what, method: 'PATCH', path: node, body, contentType });
    await patch('annotated', { metadata: { annotations: { 'spotable.dev/interruption': '{}' } } });
    const stale = { metadata: { resourceVersion: versionOf(first), annotations: { a: 'b' } } };
    await patch('a patch of an old version', stale);
    const taint = { key: 'spotable.dev/interruption', value: 'spot-termination', effect: 'NoSchedule' };
    await patch('tainted', { spec: { taints: [taint] } }, strategic);
    await patch('tainted once more', { spec: { taints: [{ key: 'x', effect: 'NoExecute' }] } }, strategic);
    await patch('a taint that is none', { spec: { taints: [{ key: 'x', effect: 'Nonsense' }] } });
    await patch('a field of the wrong type', { spec: { unschedulable: 'yes' } });
    await patch('all taken back', { metadata: { annotations: null }, spec: { taints: null } });
    await patch('a patch of no known type', {}, 'application/x-none');
    await call({ what: 'a patch that is no JSON', method: 'PATCH', path: node, text: '{', contentType: merge });
    await call({ what: 'no such node', method: 'PATCH', path: `${node}-x`, body: {}, contentType: merge });
    await patch('cordoned', { spec: { unschedulable: true } });
    const isTainted = (body: Answer['body']) => 'taints' in (body['spec'] as object);
    await call({ what: 'the taint of a cordon', method: 'GET', path: node, until: isTainted });
    await patch('uncordoned', { spec: { unschedulable: null } });
    await call({ what: 'it goes again', method: 'GET', path: node, until: (body) => !isTainted(body) });
    await call({ what: 'found by name', method: 'GET', path: `/api/v1/nodes?fieldSelector=metadata.name%3D${run}` });
  },
  'pods: selectors, pages, deletion': async (call) => {
    const created = await call({ what: 'created', method: 'POST', path: pods, body: pod('p-1') });
    await call({ what: 'created again', method: 'POST', path: pods, body: pod('p-1') });
    await call({ what: 'another', method: 'POST', path: pods, body: pod('p-2') });
    await call({ what: 'without containers', method: 'POST', path: pods, body: pod('p-3', { containers: [] }) });
    await call({ what: 'with a bad name', method: 'POST', path: pods, body: pod('P_3') });
    await call({ what: 'by label', method: 'GET', path: `${pods}?labelSelector=app%3Dp-2` });
    await call({ what: 'by node', method: 'GET', path: `/api/v1/pods?fieldSelector=spec.nodeName%3D${run}` });
    await call({ what: 'by a field that is none', method: 'GET', path: `${pods}?fieldSelector=spec.x%3Dy` });
    await call({ what: 'by a label that is none', method: 'GET', path: `${pods}?labelSelector=%21%21` });
    const page = await call({ what: 'the first page', method: 'GET', path: `${pods}?limit=1` });
    const { continue: token } = page.body['metadata'] as { continue: string };
    await call({ what: 'the second page', method: 'GET', path: `${pods}?limit=1&continue=${token}` });
    const status = { phase: 'Running', ...ready };
    await call({ what: 'runs', method: 'PATCH', path: `${pods}/p-1/status`, body: { status }, contentType: strategic });
    const remove = (what: string, options: object) =>
      call({
        what,
        method: 'DELETE',
        path: `${pods}/p-1`,
        body: { apiVersion: 'v1', kind: 'DeleteOptions', ...options },
      });
    await remove('deleted as another pod', { preconditions: { uid: 'someone' } });
    await remove('deleted in a dry run', { dryRun: ['All'] });
    await remove('deleted', { preconditions: { uid: uidOf(created) } });
    await remove('with less grace', { gracePeriodSeconds: 5 });
    await remove('with more grace', { gracePeriodSeconds: 60 });
    await remove('confirmed', { gracePeriodSeconds: 0 });
    await remove('deleted when it is gone', {});
    await call({ what: 'gone', method: 'GET', path: `${pods}/p-1` });
    await call({ what: 'the other at once', method: 'DELETE', path: `${pods}/p-2?gracePeriodSeconds=0` });
  },
  watches: async (call) => {
    const list = await call({ what: 'the list', method: 'GET', path: `${pods}?labelSelector=app%3Dseen` });
    const metadata = { name: 'w', labels: { app: 'seen' } };
    await call({ what: 'created', method: 'POST', path: pods, body: { ...pod('w'), metadata } });
    await call({ what: 'unseen', method: 'POST', path: pods, body: pod('unseen') });
    const relabel = (what: string, app: string) =>
      call({ what, method: 'PATCH', path: `${pods}/w`, body: { metadata: { labels: { app } } }, contentType: merge });
    await relabel('out of the selection', 'other');
    await relabel('and back', 'seen');
    await call({ what: 'deleted', method: 'DELETE', path: `${pods}/w` });
    await call({ what: 'confirmed', method: 'DELETE', path: `${pods}/w?gracePeriodSeconds=0` });
    const watch = (what: string, query: string) =>
      call({ what, method: 'GET', path: `${pods}?watch=1&timeoutSeconds=1&${query}` });
    await watch('all of it', `labelSelector=app%3Dseen&resourceVersion=${versionOf(list)}`);
    await watch('from now on', 'labelSelector=app%3Dunseen');
    await watch('from a version that is none', 'resourceVersion=x');
    await call({ what: 'it ends', method: 'DELETE', path: `${pods}/unseen?gracePeriodSeconds=0` });
  },
  'evictions: budgets, preconditions, grace': async (call) => {
    const evict = (what: string, name: string, deleteOptions?: object) =>
      call({
        what,
        method: 'POST',
        path: `${pods}/${name}/eviction`,
        body: {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name },
          ...(deleteOptions && { deleteOptions }),
        },
      });
    const add = async (name: string) => {
      await call({ what: `pod ${name}`, method: 'POST', path: pods, body: pod(name) });
      const body = { status: { phase: 'Running', ...ready } };
      await call({
        what: `${name} runs`,
        method: 'PATCH',
        path: `${pods}/${name}/status`,
        body,
        contentType: strategic,
      });
    };
    const guard = async (name: string, app: string) => {
      const body = { metadata: { name }, spec: { minAvailable: 1, selector: { matchLabels: { app } } } };
      await call({ what: `budget ${name}`, method: 'POST', path: budgets, body });
      const until = ({ status }: Answer['body']) => (status as { expectedPods?: number })?.expectedPods === 1;
      await call({ what: `${name} is counted`, method: 'GET', path: `${budgets}/${name}`, until });
    };
    for (const name of ['free', 'held', 'twice']) await add(name);
    await evict('another uid', 'free', { preconditions: { uid: 'someone' } });
    await evict('in a dry run', 'free', { dryRun: ['All'] });
    await evict('taken', 'free', { gracePeriodSeconds: 7 });
    await evict('taken again', 'free');
    await call({ what: 'it is going', method: 'GET', path: `${pods}/free` });
    await evict('no such pod', 'nobody');
    await guard('held', 'held');
    await evict('refused by its budget', 'held');
    await guard('twice-a', 'twice');
    await guard('twice-b', 'twice');
    await evict('under two budgets', 'twice');
    await call({ what: 'the budget goes', method: 'DELETE', path: `${budgets}/held` });
    await evict('free now', 'held');
    for (const name of ['free', 'held', 'twice'])
      await call({ what: `${name} ends`, method: 'DELETE', path: `${pods}/${name}?gracePeriodSeconds=0` });
  },
  'tokens and rights': async (call) => {
    const accounts = `${arena}/serviceaccounts`;
    await call({ what: 'an account', method: 'POST', path: accounts, body: { metadata: { name: 'agent' } } });
    const bound = await call({
      what: 'a pod',
      method: 'POST',
      path: pods,
      body: pod('bound', { serviceAccountName: 'agent' }),
    });
    const ask = (what: string, spec: object) =>
      call({
        what,
        method: 'POST',
        path: `${accounts}/agent/token`,
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
      });
    const object = { kind: 'Pod', apiVersion: 'v1', name: 'bound', uid: uidOf(bound) };
    const link = await ask('for the link', { audiences: ['spotable'], boundObjectRef: object });
    await ask('for a pod of another uid', { audiences: ['spotable'], boundObjectRef: { ...object, uid: 'someone' } });
    await ask('for too short', { audiences: ['spotable'], expirationSeconds: 60 });
    const plain = await ask('for the API', {});
    const review = (what: string, token: string, audiences: readonly string[]) =>
      call({
        what,
        method: 'POST',
        path: '/apis/authentication.k8s.io/v1/tokenreviews',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } },
      });
    const tokenOf = ({ body }: Answer) => (body['status'] as { token: string }).token;
    await review('a token of the pod', tokenOf(link), ['spotable']);
    await review('for another audience', tokenOf(link), ['other']);
    await review('nonsense', 'nonsense', ['spotable']);
    await call({ what: 'the wrong audience', method: 'GET', path: pods, token: tokenOf(link) });
    await call({ what: 'no rights', method: 'GET', path: pods, token: tokenOf(plain) });
    await call({ what: 'a bad token', method: 'GET', path: pods, token: 'nonsense' });
    await call({ what: 'no token', method: 'GET', path: pods, token: '' });
    const resourceAttributes = { verb: 'create', resource: 'pods', subresource: 'eviction' };
    for (const [what, token] of [
      ['may not', tokenOf(plain)],
      ['may', undefined],
    ] as const)
      await call({
        what,
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } },
        ...(token !== undefined && { token }),
      });
    await call({ what: 'it ends', method: 'DELETE', path: `${pods}/bound?gracePeriodSeconds=0` });
  },
  events: async (call) => {
    const event = (name: string, changes: object = {}) => ({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${run}.${name}` },
      involvedObject: { kind: 'Node', name: run, apiVersion: 'v1' },
      reason: 'NodeDrained',
      message: 'drained',
      type: 'Normal',
      ...changes,
    });
    const path = '/api/v1/namespaces/default/events';
    await call({ what: 'about a node', method: 'POST', path, body: event('a') });
    const modern = { eventTime: '2026-11-28T00:00:00.000000Z' };
    await call({ what: 'without a controller', method: 'POST', path, body: event('b', modern) });
    const controller = { action: 'Drain', reportingComponent: 'spotable.dev/agent', reportingInstance: 'i' };
    await call({ what: 'with all', method: 'POST', path, body: event('c', { ...modern, ...controller }) });
    const involvedObject = { kind: 'Pod', name: 'p', namespace: 'elsewhere' };
    await call({ what: 'of another namespace', method: 'POST', path, body: event('d', { involvedObject }) });
    await call({
      what: 'about it',
      method: 'GET',
      path: `${path}?fieldSelector=involvedObject.name%3D${run}%2Creason%3DNodeDrained`,
    });
  },
  'Deployments: their pods, their scale': async (call) => {
    const template = {
      metadata: { labels: { app: 'fleet' } },
      spec: { ...pod('x').spec, nodeName: undefined, nodeSelector: { run } },
    };
    const spec = { replicas: 2, selector: { matchLabels: { app: 'fleet' } }, template };
    const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'fleet' }, spec };
    await call({ what: 'created', method: 'POST', path: deployments, body });
    const replicas = (count: number) => (found: Answer['body']) => {
      const { replicas: made = 0, observedGeneration } = found['status'] as {
        replicas?: number;
        observedGeneration?: number;
      };
      return made === count && observedGeneration === (found['metadata'] as { generation: number }).generation;
    };
    await call({ what: 'two pods', method: 'GET', path: `${deployments}/fleet`, until: replicas(2) });
    await call({
      what: 'its pods',
      method: 'GET',
      path: `${pods}?labelSelector=app%3Dfleet`,
      until: ({ items }) =>
        (items as { spec: { nodeName?: string } }[]).every(({ spec: { nodeName } }) => nodeName !== undefined),
    });
    const scaled = { spec: { replicas: 1 } };
    await call({ what: 'scaled', method: 'PATCH', path: `${deployments}/fleet`, body: scaled, contentType: merge });
    const change = { spec: { selector: { matchLabels: { app: 'other' } } } };
    await call({
      what: 'of another selector',
      method: 'PATCH',
      path: `${deployments}/fleet`,
      body: change,
      contentType: merge,
    });
  },
  'what is none of all this': async (call) => {
    for (const path of [
      '/readyz',
      '/livez',
      '/version',
      '/api/v1/nonsense',
      '/apis/nonsense.example.com/v1',
      `${pods}/x/nonsense`,
    ])
      await call({ what: path, method: 'GET', path });
    await call({ what: 'a method that is none', method: 'PUT', path: '/api/v1/nodes', body: {} });
    await call({ what: 'no JSON', method: 'POST', path: pods, text: '{' });
    await call({
      what: 'a body of another kind',
      method: 'POST',
      path: pods,
      body: { kind: 'Node', apiVersion: 'v1', metadata: { name: 'x' } },
    });
    await call({
      what: 'an unknown field',
      method: 'POST',
      path: `${pods}?fieldValidation=Strict`,
      body: pod('x', { nonsense: 1 }),
    });
  },
};

describe('the API double answers as Kubernetes does', onCluster, () => {
  let double: ApiServer;
  let callers: readonly [real: ApiCaller, double: ApiCaller];

  before(async () => {
    const { url, authority, adminToken } = testCluster();
    const user = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };
    double = await startApiServer({ tokens: { [adminToken]: user } });
    callers = [new ApiCaller(url, adminToken, authority), new ApiCaller(double.url, adminToken)];
    for (const caller of callers) {
      await caller.send({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: run } } });
      const metadata = { name: run, labels: { run } };
      await caller.send({ method: 'POST', path: '/api/v1/nodes', body: { apiVersion: 'v1', kind: 'Node', metadata } });
      const allocatable = { cpu: '4', memory: '8Gi', pods: '110' };
      const body = { status: { ...ready, allocatable } };
      await caller.send({ method: 'PATCH', path: `${node}/status`, body, contentType: strategic });
      await eventually('the namespace and the node are usable', async () => {
        const account = await caller.send({ method: 'GET', path: `${arena}/serviceaccounts/default` });
        const { spec } = (await caller.send({ method: 'GET', path: node })).body as { spec: { taints?: unknown } };
        return account.status === 200 && spec.taints === undefined;
      });
    }
  });

  after(async () => {
    await callers?.[0].send({ method: 'DELETE', path: arena });
    await callers?.[0].send({ method: 'DELETE', path: node });
    for (const caller of callers ?? []) caller.close();
    await double?.close();
  });

  /** Plays the steps on one server. Returns its answers, by step, in a form that two servers can share. */
  async function record(caller: ApiCaller, play: Play): Promise<readonly { what: string; answer: unknown }[]> {
    const answers: { what: string; answer: unknown }[] = [];
    await play(async ({ what, until = () => true, ...request }) => {
      const answer = await eventually(what, async () => {
        const found = await caller.send(request);
        return until(found.body) && found;
      });
      answers.push({ what, answer: normalise(answer, generated) });
      return answer;
    });
    return answers;
  }

  for (const [name, play] of Object.entries(plays))
    test(name, async () => {
      const [real, ours] = await Promise.all(callers.map((caller) => record(caller, play)));
      for (const [at, expected] of (real ?? []).entries())
        assert.deepEqual(ours?.[at]?.answer, expected.answer, `${name}: ${expected.what}`);
    });
});
