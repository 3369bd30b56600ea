import type { RequestRecord } from '../../../sandbox/kubernetes/http/server.ts';
import type { Manifest } from '../../unit/manifests/manifest-problems.ts';

export interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs: readonly string[];
}

/** What Kubernetes gives to every service account, so that no role has to. */
const givenToAll = /^create selfsubject(access|rules)?reviews\.(authorization|authentication)\.k8s\.io$/;

const verbOf: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** The right that a request needs, as `VERB RESOURCE[/SUBRESOURCE][.GROUP]`; undefined for paths that are no resources. */
export function rightFor({ method, path }: Pick<RequestRecord, 'method' | 'path'>): string | undefined {
  const [place = '', query = ''] = path.split('?');
  const [, group = '', rest] =
    /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)\/(?:namespaces\/[^/]+\/(?=[^/]))?(.+)$/.exec(place) ?? [];
  if (rest === undefined) return undefined;
  const [resource, name, subresource] = rest.split('/');
  const isWatch = new URLSearchParams(query).has('watch');
  const verb =
    method === 'GET' ? (isWatch ? 'watch' : name === undefined ? 'list' : 'get') : (verbOf[method] ?? method);
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
}

/** Every right that the ClusterRoles among the objects give. */
export function grantedRights(objects: readonly Manifest[]): readonly string[] {
  const rules = objects
    .filter(({ kind }) => kind === 'ClusterRole')
    .flatMap(({ rules: list }) => list as readonly Rule[]);
  const all = rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}${group === '' ? '' : `.${group}`}`)),
    ),
  );
  return [...new Set(all)].sort();
}

export interface RightsDifference {
  /** Granted, and never used. */
  readonly unused: readonly string[];
  /** Used, and not granted. */
  readonly missing: readonly string[];
}

/** Compares what was asked for with what is granted, both ways. */
export function compareRights(
  requests: readonly Pick<RequestRecord, 'method' | 'path'>[],
  granted: readonly string[],
): RightsDifference {
  const needed = requests.map(rightFor).filter((right) => right !== undefined);
  const used = new Set(needed.filter((right) => !givenToAll.test(right)));
  return {
    unused: granted.filter((right) => !used.has(right)),
    missing: [...used].filter((right) => !granted.includes(right)).sort(),
  };
}
