import type { Deployment, KubeObject, ReplicaSet } from '../objects.ts';
import type { JsonMap } from '../patch/merge-patch.ts';
import { bind } from '../registry/binding.ts';
import type { DeleteOptions } from '../registry/deletion.ts';
import { evict } from '../registry/eviction.ts';
import type { Resource } from '../registry/resource.ts';
import { badRequest, invalid, invalidValue, Refusal, success } from '../status-errors.ts';
import type { Answer } from './answer.ts';
import { parseObject } from './body.ts';
import { type Call, isDryRun, nameOf } from './call.ts';
import { applyPatch } from './patch.ts';

interface Eviction {
  readonly metadata?: { readonly name?: string };
  readonly deleteOptions?: DeleteOptions & { readonly dryRun?: readonly string[] };
}

/** POST pods/NAME/eviction, of policy/v1 and of policy/v1beta1, which the subresource still accepts. */
export function evictPod(call: Call): Answer {
  const name = nameOf(call);
  const eviction = parseObject(call.body, 'Eviction') as Eviction;
  if (eviction.metadata?.name !== name) {
    throw new Refusal(badRequest('name in URL does not match name in Eviction object'));
  }
  const { dryRun = [], ...options } = eviction.deleteOptions ?? {};
  const isDry = dryRun.includes('All') || isDryRun(call.query);
  evict(call.registry, call.at.namespace ?? '', name, { ...options, dryRun: isDry });
  return { status: 201, body: success(201) };
}

export function bindPod(call: Call): Answer {
  const { target } = parseObject(call.body, 'Binding') as { target?: { kind?: string; name?: string } };
  if (target?.name === undefined || (target.kind ?? 'Node') !== 'Node') {
    throw new Refusal(badRequest('target: a Node with a name is required'));
  }
  bind(call.registry, call.at.namespace ?? '', nameOf(call), target.name);
  return { status: 201, body: success(201) };
}

type Scalable = Deployment | ReplicaSet;

interface Scale {
  readonly kind: 'Scale';
  readonly apiVersion: 'autoscaling/v1';
  readonly metadata: KubeObject['metadata'];
  readonly spec: { readonly replicas?: number };
  readonly status: { readonly replicas: number; readonly selector: string };
}

export function readScale(call: Call): Answer {
  return { status: 200, body: scaleOf(call.registry.get(call.of, call.at.namespace, nameOf(call)) as Scalable) };
}

export function writeScale(call: Call, method: 'PUT' | 'PATCH'): Answer {
  const { registry, of, at, query } = call;
  const change = (current: Scalable): Scalable => {
    const before = scaleOf(current);
    const next = (
      method === 'PUT' ? parseObject(call.body, 'Scale') : applyPatch(call, 'V1Scale', before as unknown as JsonMap)
    ) as { metadata?: { resourceVersion?: string }; spec?: { replicas?: number } };
    const replicas = next.spec?.replicas ?? 0;
    if (!Number.isInteger(replicas) || replicas < 0) {
      const cause = invalidValue('spec.replicas', String(replicas), 'must be greater than or equal to 0');
      throw new Refusal(invalid({ group: 'autoscaling', kind: 'Scale' }, nameOf(call), [cause]));
    }
    const resourceVersion = next.metadata?.resourceVersion ?? current.metadata.resourceVersion;
    return {
      ...current,
      metadata: { ...current.metadata, resourceVersion },
      spec: { ...current.spec, replicas },
    } as Scalable;
  };
  const scalable = of as unknown as Resource<Scalable>;
  const updated = registry.update(scalable, at.namespace, nameOf(call), change, { dryRun: isDryRun(query) });
  return { status: 200, body: scaleOf(updated) };
}

function scaleOf({ metadata, spec, status }: Scalable): Scale {
  const { name, namespace = '', uid, resourceVersion, creationTimestamp } = metadata;
  const selector = Object.entries(spec.selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: spec.replicas === 0 ? {} : { replicas: spec.replicas },
    status: { replicas: status.replicas ?? 0, selector: selector.sort().join(',') },
  };
}
