import type { AllocationRequest, GameServerSelector } from '../allocation/allocation-request.ts';

const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$/;
const qualifiedName = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$/;
const maxAnnotationBytes = 262_144;
/** Agents and wrappers trust labels and annotations with this prefix. */
const ownPrefix = 'spotable.dev/';
const sessionIdPattern = /^[a-zA-Z0-9][a-zA-Z0-9._:/-]{0,511}$/;
/** Setting these labels would move the pod out of, or into, a controller's selector. */
const ownedLabels: ReadonlySet<string> = new Set(['pod-template-hash', 'controller-revision-hash']);

/** Errors in a request, each as `FIELD: Invalid value: ...`; empty if it is valid. */
export function requestProblems(request: AllocationRequest): readonly string[] {
  const { selectors, priorities, sessionId } = request;
  return [
    ...selectors.flatMap((selector, index) => selectorProblems(selector, `spec.selectors[${index}]`)),
    ...priorities.flatMap(({ key }, index) =>
      key === '' ? [`spec.priorities[${index}]: Invalid value: "": key must not be nil`] : [],
    ),
    ...metadataProblems(request),
    ...(sessionId === undefined || sessionIdPattern.test(sessionId)
      ? []
      : [`spec.metadata.annotations: Invalid value: session id ${JSON.stringify(sessionId.slice(0, 64))}`]),
  ];
}

function selectorProblems({ matchLabels, matchExpressions, counters, lists }: GameServerSelector, path: string) {
  const problems: string[] = [];
  for (const [key, value] of Object.entries(matchLabels))
    if (!qualifiedName.test(key) || !labelValue.test(value))
      problems.push(`${path}.labelSelector: Invalid value: ${JSON.stringify(`${key}=${value}`)}`);
  for (const { key, operator, values } of matchExpressions) {
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (!qualifiedName.test(key) || needsValues !== values.length > 0 || !values.every((text) => labelValue.test(text)))
      problems.push(`${path}.labelSelector: Invalid value: ${JSON.stringify({ key, operator, values })}`);
  }
  for (const [name, range] of [...Object.entries(counters), ...Object.entries(lists)]) {
    for (const [field, value] of Object.entries(range))
      if (typeof value === 'number' && value < 0)
        problems.push(`${path}[${name}].${field}: Invalid value: ${value}: must be greater than or equal to 0`);
    for (const what of ['Count', 'Available']) {
      const [min = 0, max = 0] = [`min${what}`, `max${what}`].map((key) => Number(Object(range)[key] ?? 0));
      if (max !== 0 && max < min)
        problems.push(
          `${path}[${name}]: Invalid value: ${max}: max${what} must zero or greater than min${what} ${min}`,
        );
    }
  }
  return problems;
}

function metadataProblems({ labels, annotations }: AllocationRequest): readonly string[] {
  const problems: string[] = [];
  const refuse = (field: string, text: string, why: string) =>
    problems.push(`spec.metadata.${field}: Invalid value: ${JSON.stringify(text.slice(0, 64))}: ${why}`);
  for (const [key, value] of Object.entries(labels)) {
    if (!qualifiedName.test(key)) refuse('labels', key, 'name part must consist of alphanumeric characters');
    if (!labelValue.test(value)) refuse('labels', value, 'a valid label must be at most 63 alphanumeric characters');
    if (key.startsWith(ownPrefix) || ownedLabels.has(key)) refuse('labels', key, 'is written by others');
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    if (!qualifiedName.test(key)) refuse('annotations', key, 'name part must consist of alphanumeric characters');
    if (key.startsWith(ownPrefix)) refuse('annotations', key, 'is written by others');
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > maxAnnotationBytes)
    problems.push(`spec.metadata.annotations: Too long: must have at most ${maxAnnotationBytes} bytes`);
  return problems;
}
