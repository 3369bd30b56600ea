import { apiVersionOf, type Resource } from '../registry/resource.ts';
import { type Review, resources, reviews } from '../registry/table.ts';
import type { Answer } from './answer.ts';
import { answerOpenApi } from './openapi.ts';

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** The version of the real server that this double was checked against. */
const version = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.2',
  gitCommit: 'sandbox',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'go1.26.10',
  compiler: 'gc',
  platform: 'linux/amd64',
};

/** Answers discovery, version and health: the paths without resources. Undefined for any other path. */
export function answerPath(path: string, query: URLSearchParams): Answer | undefined {
  switch (path) {
    case '/livez':
    case '/readyz':
    case '/healthz':
      return { status: 200, body: query.has('verbose') ? `[+]ping ok\n${path.slice(1)} check passed\n` : 'ok' };
    case '/livez/ping':
    case '/readyz/ping':
    case '/healthz/ping':
      return { status: 200, body: 'ok' };
    case '/version':
    case '/version/':
      return { status: 200, body: version };
    case '/api':
      return { status: 200, body: { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] } };
    case '/apis':
      return { status: 200, body: { kind: 'APIGroupList', apiVersion: 'v1', groups: groupNames().map(groupOf) } };
    default:
      return answerGroup(path) ?? answerOpenApi(path);
  }
}

function groupNames(): string[] {
  const named = [...resources, ...reviews].map(({ group }) => group).filter((group) => group !== '');
  return [...new Set(named)];
}

function groupOf(name: string): Record<string, unknown> {
  const preferred = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [preferred], preferredVersion: preferred };
}

function answerGroup(path: string): Answer | undefined {
  const [, root, first, second, ...rest] = path.split('/');
  if (rest.length > 0) return undefined;
  if (root === 'api' && first === 'v1' && second === undefined) return resourceList('');
  if (root !== 'apis' || first === undefined || !groupNames().includes(first)) return undefined;
  if (second === undefined) return { status: 200, body: { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(first) } };
  return second === 'v1' ? resourceList(first) : undefined;
}

function resourceList(group: string): Answer {
  const kept = resources.filter((one) => one.group === group).flatMap(describe);
  const asked = reviews.filter((one) => one.group === group).map(describeReview);
  const groupVersion = apiVersionOf({ group, version: 'v1' });
  const body = { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: [...kept, ...asked] };
  return { status: 200, body };
}

function describe(of: Resource): Record<string, unknown>[] {
  const { plural, namespaced, kind, shortNames } = of;
  const own = {
    name: plural,
    singularName: kind.toLowerCase(),
    namespaced,
    kind,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(inAll.has(plural) ? { categories: ['all'] } : {}),
  };
  const below = of.subresources.map((name) => ({
    name: `${plural}/${name}`,
    singularName: '',
    namespaced,
    ...subresourceKinds[name],
    kind: subresourceKinds[name]?.kind ?? kind,
  }));
  return [own, ...below];
}

/** The resources in `kubectl get all`. */
const inAll: ReadonlySet<string> = new Set(['pods', 'services', 'daemonsets', 'deployments', 'replicasets']);

const writable = { verbs: ['get', 'patch', 'update'] };

const subresourceKinds: Readonly<Record<string, { kind?: string; group?: string; version?: string; verbs: string[] }>> =
  {
    status: writable,
    scale: { ...writable, kind: 'Scale', group: 'autoscaling', version: 'v1' },
    eviction: { verbs: ['create'], kind: 'Eviction', group: 'policy', version: 'v1' },
    binding: { verbs: ['create'], kind: 'Binding' },
    token: { verbs: ['create'], kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1' },
  };

function describeReview({ plural, kind }: Review): Record<string, unknown> {
  return { name: plural, singularName: kind.toLowerCase(), namespaced: false, kind, verbs: ['create'] };
}
