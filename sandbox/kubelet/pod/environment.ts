import type { Container, Pod } from './pod.ts';

/**
 * Replaces `$(NAME)` as Kubernetes does in `env`, `command` and `args`: `$$` means one `$`, and a reference to an
 * unknown name stays as it is.
 */
export function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (values.get(name) ?? whole),
  );
}

/** The address of the node, and of its pods too, because pods have no network of their own here. */
export interface PodPlace {
  nodeName: string;
  address: string;
}

/** @throws Error if the downward API has no such field */
export function readField(fieldPath: string, pod: Pod, place: PodPlace): string {
  const { metadata, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
  if (keyed !== null) {
    const map = keyed[1] === 'labels' ? metadata.labels : metadata.annotations;
    return map?.[keyed[2] ?? ''] ?? '';
  }
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace;
    case 'metadata.uid':
      return metadata.uid;
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return place.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.hostIP':
    case 'status.hostIPs':
    case 'status.podIP':
    case 'status.podIPs':
      return place.address;
    default:
      throw new Error(`fieldPath ${fieldPath} is not supported`);
  }
}

/**
 * The container's environment on top of its image's. Later entries win, and see the earlier ones.
 * @throws Error if a value has an unsupported source
 */
export function readEnvironment(
  container: Container,
  pod: Pod,
  place: PodPlace,
  imageEnvironment: Readonly<Record<string, string>>,
): Map<string, string> {
  if (container.envFrom !== undefined && container.envFrom.length > 0) throw new Error('envFrom is not supported');
  const hostname = pod.spec.hostNetwork === true ? place.nodeName : pod.metadata.name;
  const declared = new Map<string, string>();
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom === undefined) declared.set(name, expand(value ?? '', declared));
    else if (valueFrom.fieldRef !== undefined) declared.set(name, readField(valueFrom.fieldRef.fieldPath, pod, place));
    else throw new Error(`env ${name}: only value and fieldRef are supported`);
  }
  return new Map([...Object.entries(imageEnvironment), ['HOSTNAME', hostname], ...declared]);
}

function formatMap(map: Record<string, string> = {}): string {
  return Object.entries(map)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort()
    .join('\n');
}
