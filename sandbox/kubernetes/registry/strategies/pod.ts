import { isDeepStrictEqual } from 'node:util';
import type { Container, Pod, PodSpec } from '../../objects.ts';
import { type Cause, forbiddenField, invalidValue, required } from '../../status-errors.ts';
import type { Strategy } from '../resource.ts';
import { admitPodSpec, defaultPodSpec, qualityOfService } from './pod-defaults.ts';

const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';

export const podStrategy: Strategy<Pod> = {
  prepareCreate(pod) {
    // Allow missing containers here: `validate` runs later and refuses such a pod.
    const containers = pod.spec?.containers ?? [];
    const spec = admitPodSpec(defaultPodSpec({ ...pod.spec, containers }));
    return { ...pod, spec, status: { phase: 'Pending', qosClass: qualityOfService(spec) } };
  },
  prepareUpdate: (next, current) => ({ ...next, status: current.status }),
  validate: (pod) => [...validateContainers(pod.spec), ...validateDeletionCost(pod)],
  validateUpdate: (next, current) => [...validateDeletionCost(next), ...validateFrozenSpec(next.spec, current.spec)],
};

function validateContainers(spec: PodSpec): Cause[] {
  if (spec.containers.length === 0) return [required('spec.containers')];
  return spec.containers.flatMap(({ name, image }, index) => [
    ...(name ? [] : [required(`spec.containers[${index}].name`)]),
    ...(image ? [] : [required(`spec.containers[${index}].image`)]),
  ]);
}

function validateDeletionCost(pod: Pod): Cause[] {
  const cost = pod.metadata.annotations?.[deletionCost];
  if (cost === undefined || (/^(0|-?[1-9]\d{0,9})$/.test(cost) && Math.abs(Number(cost)) < 2 ** 31)) return [];
  return [invalidValue(`metadata.annotations[${deletionCost}]`, `"${cost}"`, 'must be a 32bit integer')];
}

const frozenSpec =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

function validateFrozenSpec(next: PodSpec, current: PodSpec): Cause[] {
  return isDeepStrictEqual(frozenPart(next), frozenPart(current)) && keepsTolerations(next, current)
    ? []
    : [forbiddenField('spec', frozenSpec)];
}

function frozenPart(spec: PodSpec): unknown {
  const withoutImage = ({ image, ...rest }: Container): unknown => rest;
  const { activeDeadlineSeconds, tolerations, containers, initContainers, ...frozen } = spec;
  return { ...frozen, containers: containers.map(withoutImage), init: initContainers?.map(withoutImage) };
}

function keepsTolerations(next: PodSpec, current: PodSpec): boolean {
  const kept = next.tolerations ?? [];
  return (current.tolerations ?? []).every((old) => kept.some((one) => isDeepStrictEqual(one, old)));
}
