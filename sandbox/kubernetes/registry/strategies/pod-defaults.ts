import type { Container, PodSpec, Toleration } from '../../objects.ts';
import type { JsonMap } from '../../patch/merge-patch.ts';

/** Defaults for every pod and every pod template. */
export function defaultPodSpec(spec: PodSpec): PodSpec {
  const hostNetwork = spec.hostNetwork === true;
  return {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
    ...spec,
    containers: spec.containers.map((container) => defaultContainer(container, hostNetwork)),
    ...(spec.initContainers === undefined
      ? {}
      : { initContainers: spec.initContainers.map((container) => defaultContainer(container, hostNetwork)) }),
  };
}

function defaultContainer(container: Container, hostNetwork: boolean): Container {
  const { ports, env } = container as Container & { env?: JsonMap[] };
  return {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: pullPolicy(container.image ?? ''),
    ...container,
    ...(ports === undefined ? {} : { ports: ports.map((port) => defaultPort(port, hostNetwork)) }),
    ...(env === undefined ? {} : { env: env.map(defaultVariable) }),
    ...Object.fromEntries(
      ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((probe) =>
        container[probe] === undefined ? [] : [[probe, defaultProbe(container[probe] as JsonMap)]],
      ),
    ),
  };
}

function pullPolicy(image: string): string {
  const tag = /:([^/:@]+)$/.exec(image)?.[1];
  return image.includes('@') || (tag !== undefined && tag !== 'latest') ? 'IfNotPresent' : 'Always';
}

type Port = NonNullable<Container['ports']>[number];

/** On the host network a declared port is a host port, so the scheduler keeps two such pods off one node. */
function defaultPort(port: Port, hostNetwork: boolean): Port {
  return { ...(hostNetwork ? { hostPort: port.containerPort } : {}), protocol: 'TCP', ...port };
}

function defaultVariable(variable: JsonMap): JsonMap {
  const from = variable['valueFrom'] as { fieldRef?: JsonMap } | undefined;
  if (from?.fieldRef === undefined) return variable;
  return { ...variable, valueFrom: { ...from, fieldRef: { apiVersion: 'v1', ...from.fieldRef } } };
}

function defaultProbe(probe: JsonMap): JsonMap {
  const httpGet = probe['httpGet'] as JsonMap | undefined;
  return {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...probe,
    ...(httpGet === undefined ? {} : { httpGet: { path: '/', scheme: 'HTTP', ...httpGet } }),
  };
}

/** Fields that admission adds to a pod, but not to a template. */
export function admitPodSpec(spec: PodSpec): PodSpec {
  const serviceAccountName = spec.serviceAccountName ?? 'default';
  return {
    priority: 0,
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
    ...spec,
    serviceAccountName,
    serviceAccount: serviceAccountName,
    tolerations: withLostNodeTolerations(spec.tolerations ?? []),
  };
}

/** A pod stays five minutes on a lost node, unless its tolerations say otherwise. */
function withLostNodeTolerations(tolerations: readonly Toleration[]): Toleration[] {
  const missing = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].filter(
    (key) => !tolerations.some((one) => one.key === key || (one.key === undefined && one.operator === 'Exists')),
  );
  return [
    ...tolerations,
    ...missing.map((key): Toleration => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 })),
  ];
}

/**
 * Guaranteed: each container limits cpu and memory and requests the same amounts. BestEffort: no requests or limits.
 */
export function qualityOfService(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const resources = [...spec.containers, ...(spec.initContainers ?? [])].map((container) => container.resources ?? {});
  const asked = resources.flatMap(({ requests = {}, limits = {} }) => [
    ...Object.keys(requests),
    ...Object.keys(limits),
  ]);
  if (!asked.some((name) => name === 'cpu' || name === 'memory')) return 'BestEffort';
  const guaranteed = resources.every(({ requests = {}, limits = {} }) =>
    ['cpu', 'memory'].every((name) => limits[name] !== undefined && (requests[name] ?? limits[name]) === limits[name]),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
