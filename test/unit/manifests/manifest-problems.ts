import { Ajv } from 'ajv';
import { decode } from '../../../sandbox/kubernetes/schema/decode.ts';

export type Manifest = Readonly<Record<string, unknown>> & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
};

/**
 * The kinds that the manifests may use: their model, and since which minor version of Kubernetes that API is stable.
 */
const models: Readonly<Record<string, { readonly model: string; readonly since: number }>> = {
  'v1/Namespace': { model: 'V1Namespace', since: 0 },
  'v1/ServiceAccount': { model: 'V1ServiceAccount', since: 0 },
  'v1/ConfigMap': { model: 'V1ConfigMap', since: 2 },
  'v1/Service': { model: 'V1Service', since: 0 },
  'apps/v1/DaemonSet': { model: 'V1DaemonSet', since: 9 },
  'apps/v1/Deployment': { model: 'V1Deployment', since: 9 },
  'rbac.authorization.k8s.io/v1/ClusterRole': { model: 'V1ClusterRole', since: 8 },
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding': { model: 'V1ClusterRoleBinding', since: 8 },
  'rbac.authorization.k8s.io/v1/Role': { model: 'V1Role', since: 8 },
  'rbac.authorization.k8s.io/v1/RoleBinding': { model: 'V1RoleBinding', since: 8 },
  'policy/v1/PodDisruptionBudget': { model: 'V1PodDisruptionBudget', since: 21 },
  'apiextensions.k8s.io/v1/CustomResourceDefinition': { model: 'V1CustomResourceDefinition', since: 16 },
  // manifests/game-types is for 1.36 and newer, and says so.
  'admissionregistration.k8s.io/v1/MutatingAdmissionPolicy': { model: 'V1MutatingAdmissionPolicy', since: 0 },
  'admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding': {
    model: 'V1MutatingAdmissionPolicyBinding',
    since: 0,
  },
  'admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy': { model: 'V1ValidatingAdmissionPolicy', since: 30 },
  'admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding': {
    model: 'V1ValidatingAdmissionPolicyBinding',
    since: 30,
  },
};
export const oldestMinor = 31;

const text = { type: 'string', minLength: 1 } as const;
const texts = { type: 'object', additionalProperties: text } as const;
const closed = (properties: object, required: readonly string[] = Object.keys(properties)) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});
const resource = (spec: object) =>
  closed({ apiVersion: text, kind: text, metadata: closed({ name: text, namespace: text, labels: texts }), spec });

const anyList = { type: 'array', items: { type: 'object' } } as const;
const words = { type: 'array', items: text } as const;

/** Kinds that are none of Kubernetes': ours, and the Prometheus operator's as far as the manifests use them. */
const operatorKinds: Readonly<Record<string, object>> = {
  'spotable.dev/v1/GameType': {
    ...closed({
      apiVersion: text,
      kind: text,
      metadata: closed({ name: text, labels: texts }),
      spec: closed({
        ...{ image: text, wrapper: words, command: words, hostNetwork: { type: 'boolean' } },
        ...{ env: anyList, volumeMounts: anyList, volumes: anyList, initContainers: anyList },
      }),
    }),
  },
  'monitoring.coreos.com/v1/PodMonitor': resource(
    closed({
      selector: closed({ matchLabels: texts }),
      podMetricsEndpoints: {
        type: 'array',
        items: closed({
          port: text,
          interval: { type: 'string', pattern: '^\\d+s$' },
          relabelings: {
            type: 'array',
            items: closed({ sourceLabels: { type: 'array', items: text }, targetLabel: text }),
          },
        }),
      },
    }),
  ),
  'monitoring.coreos.com/v1/PrometheusRule': resource(
    closed({
      groups: {
        type: 'array',
        items: closed({
          name: text,
          rules: {
            type: 'array',
            items: closed(
              {
                alert: text,
                expr: text,
                for: { type: 'string', pattern: '^\\d+m$' },
                labels: closed({ severity: { enum: ['warning', 'critical'] } }),
                annotations: closed({ summary: text, runbook_url: text }),
              },
              ['alert', 'expr', 'labels', 'annotations'],
            ),
          },
        }),
      },
    }),
  ),
};
const ajv = new Ajv({ allErrors: true });

/**
 * What is wrong with an object by the published types: unknown kinds and fields, wrong types. Empty where nothing is.
 */
export function manifestProblems(object: Manifest): readonly string[] {
  const gvk = `${object.apiVersion}/${object.kind}`;
  const operatorKind = operatorKinds[gvk];
  if (operatorKind !== undefined) {
    ajv.validate(operatorKind, object);
    return (ajv.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }
  const known = models[gvk];
  if (known === undefined) return [`unknown kind ${gvk}`];
  const tooNew = known.since > oldestMinor ? [`${gvk} is stable since 1.${known.since} only`] : [];
  const decoded = decode(known.model, JSON.parse(JSON.stringify(object)));
  const wrong =
    decoded.kind === 'mistyped' ? [decoded.complaint] : decoded.unknown.map((path) => `unknown field ${path}`);
  return [...tooNew, ...wrong];
}
