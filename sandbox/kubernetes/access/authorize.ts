import type { PolicyRule, RoleBinding } from '../objects.ts';
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from '../registry/table.ts';
import type { Store } from '../storage/store.ts';
import { masters, type User } from './user.ts';

export interface ResourceAttributes {
  readonly verb: string;
  readonly group: string;
  /** With its subresource, if any: pods/eviction. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

export interface PathAttributes {
  readonly verb: string;
  readonly path: string;
}

export interface Grant {
  readonly rule: PolicyRule;
  /** The source of the grant, in the words of SelfSubjectAccessReview. */
  readonly reason: string;
}

interface Builtin {
  readonly name: string;
  readonly groups: readonly string[];
  readonly rules: readonly PolicyRule[];
}

const health = ['/healthz', '/livez', '/readyz', '/version', '/version/'];

/** The roles that every cluster gives to authenticated users, or to everyone. */
const builtins: readonly Builtin[] = [
  {
    name: 'system:basic-user',
    groups: ['system:authenticated'],
    rules: [
      {
        verbs: ['create'],
        apiGroups: ['authorization.k8s.io'],
        resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      },
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
    ],
  },
  {
    name: 'system:discovery',
    groups: ['system:authenticated'],
    rules: [
      {
        verbs: ['get'],
        nonResourceURLs: [
          '/api',
          '/api/*',
          '/apis',
          '/apis/*',
          '/healthz',
          '/livez',
          '/openapi',
          '/openapi/*',
          '/readyz',
          '/version',
          '/version/',
        ],
      },
    ],
  },
  {
    name: 'system:service-account-issuer-discovery',
    groups: ['system:serviceaccounts'],
    rules: [
      {
        verbs: ['get'],
        nonResourceURLs: [
          '/.well-known/openid-configuration',
          '/.well-known/openid-configuration/',
          '/openid/v1/jwks',
          '/openid/v1/jwks/',
        ],
      },
    ],
  },
  {
    name: 'system:public-info-viewer',
    groups: ['system:authenticated', 'system:unauthenticated'],
    rules: [
      { verbs: ['get'], nonResourceURLs: health },
      { verbs: ['get'], nonResourceURLs: ['/.well-known', '/.well-known/*'] },
    ],
  },
];

/** The user's rights, in one namespace or in the whole cluster, and the source of each. */
export function grantsFor(store: Store, user: User, namespace: string | undefined): Grant[] {
  const groups = user.groups ?? [];
  const own = (user.rules ?? []).map((rule): Grant => ({ rule, reason: `rules of user "${user.name}"` }));
  const master: Grant[] = groups.includes(masters) ? [everything, everyPath].map((rule) => ({ rule, reason: '' })) : [];
  const built = builtins
    .filter((one) => one.groups.some((group) => groups.includes(group)))
    .flatMap(({ name, rules }) =>
      rules.map(
        (rule): Grant => ({ rule, reason: `RBAC: allowed by ClusterRoleBinding "${name}" of ClusterRole "${name}"` }),
      ),
    );
  const clusterWide = store.list(clusterRoleBindings);
  const local = namespace === undefined ? [] : store.list(roleBindings, namespace);
  const bound = [...clusterWide, ...local].flatMap((binding) => grantsOf(store, binding, user));
  return [...master, ...built, ...own, ...bound];
}

const everything: PolicyRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
const everyPath: PolicyRule = { verbs: ['*'], nonResourceURLs: ['*'] };

function grantsOf(store: Store, binding: RoleBinding, user: User): Grant[] {
  const { kind, name } = binding.roleRef;
  const { namespace } = binding.metadata;
  const subject = (binding.subjects ?? []).find((one) => isSubject(one, user, namespace));
  if (subject === undefined) return [];
  const role = kind === 'ClusterRole' ? store.get(clusterRoles, undefined, name) : store.get(roles, namespace, name);
  const who =
    subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace ?? namespace ?? ''}` : subject.name;
  const bindingName = namespace === undefined ? binding.metadata.name : `${binding.metadata.name}/${namespace}`;
  const reason = `RBAC: allowed by ${binding.kind} "${bindingName}" of ${kind} "${name}" to ${subject.kind} "${who}"`;
  return (role?.rules ?? []).map((rule) => ({ rule, reason }));
}

type Subject = NonNullable<RoleBinding['subjects']>[number];

function isSubject(subject: Subject, user: User, bindingNamespace: string | undefined): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.name === user.name;
    case 'Group':
      return (user.groups ?? []).includes(subject.name);
    case 'ServiceAccount':
      return user.name === `system:serviceaccount:${subject.namespace ?? bindingNamespace ?? ''}:${subject.name}`;
    default:
      return false;
  }
}

/** The grant that allows it, if there is one. */
export function authorize(store: Store, user: User, wanted: ResourceAttributes | PathAttributes): Grant | undefined {
  const namespace = 'path' in wanted ? undefined : wanted.namespace;
  return grantsFor(store, user, namespace).find(({ rule }) =>
    'path' in wanted ? coversPath(rule, wanted) : coversResource(rule, wanted),
  );
}

function coversResource(rule: PolicyRule, { verb, group, resource, name }: ResourceAttributes): boolean {
  const { verbs, apiGroups = [], resources = [], resourceNames = [] } = rule;
  const [, subresource] = resource.split('/');
  return (
    includes(verbs, verb) &&
    includes(apiGroups, group) &&
    (includes(resources, resource) || (subresource !== undefined && resources.includes(`*/${subresource}`))) &&
    (resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name)))
  );
}

function coversPath({ verbs, nonResourceURLs = [] }: PolicyRule, { verb, path }: PathAttributes): boolean {
  return (
    includes(verbs, verb) &&
    nonResourceURLs.some((url) => (url.endsWith('*') ? path.startsWith(url.slice(0, -1)) : url === path))
  );
}

function includes(allowed: readonly string[], wanted: string): boolean {
  return allowed.includes('*') || allowed.includes(wanted);
}
