import type { KubeObject, ObjectMeta } from '../objects.ts';
import { type Cause, invalidValue, required } from '../status-errors.ts';

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const maxSubdomainLength = 253;

const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const labelValueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const qualifiedName = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const qualifiedNameRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const maxLabelValueLength = 63;
const maxAnnotationsBytes = 256 * 1024;

/** Errors in an object's name, labels and annotations, in the words of the API server. */
export function validateMetadata(metadata: ObjectMeta, namesAreSubdomains: boolean): Cause[] {
  return [
    ...(namesAreSubdomains ? validateName(metadata) : []),
    ...validateLabels(metadata.labels),
    ...validateAnnotations(metadata.annotations),
  ];
}

function validateName({ name }: ObjectMeta): Cause[] {
  if (name.length > maxSubdomainLength) {
    return [invalidValue('metadata.name', `"${name}"`, `must be no more than ${maxSubdomainLength} characters`)];
  }
  return subdomain.test(name) ? [] : [invalidValue('metadata.name', `"${name}"`, subdomainRule)];
}

export function validateGenerateName(generateName: string): Cause[] {
  return subdomain.test(generateName.replace(/-$/, ''))
    ? []
    : [invalidValue('metadata.generateName', `"${generateName}"`, subdomainRule)];
}

function validateLabels(labels: ObjectMeta['labels']): Cause[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...(qualifiedName.test(key) ? [] : [invalidValue('metadata.labels', `"${key}"`, qualifiedNameRule)]),
    ...(labelValue.test(value) ? [] : [invalidValue('metadata.labels', `"${value}"`, labelValueRule)]),
    ...(value.length > maxLabelValueLength
      ? [invalidValue('metadata.labels', `"${value}"`, `must be no more than ${maxLabelValueLength} bytes`)]
      : []),
  ]);
}

function validateAnnotations(annotations: ObjectMeta['annotations']): Cause[] {
  const entries = Object.entries(annotations ?? {});
  const size = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  return [
    ...entries
      .filter(([key]) => !qualifiedName.test(key))
      .map(([key]) => invalidValue('metadata.annotations', `"${key}"`, qualifiedNameRule)),
    ...(size > maxAnnotationsBytes
      ? [
          {
            reason: 'FieldValueTooLong',
            message: `Too long: may not be more than ${maxAnnotationsBytes} bytes`,
            field: 'metadata.annotations',
          },
        ]
      : []),
  ];
}

export const nameRequired: readonly Cause[] = [required('metadata.name', 'name or generateName is required')];

/** The metadata of an update: fields that only the server writes stay as they are. */
export function updatedMetadata(next: ObjectMeta, current: ObjectMeta): ObjectMeta {
  const { labels, annotations, ownerReferences, finalizers } = next;
  return {
    ...serverWritten(current),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(ownerReferences === undefined ? {} : { ownerReferences }),
    ...(finalizers === undefined ? {} : { finalizers }),
  };
}

function serverWritten(current: ObjectMeta): ObjectMeta {
  const { labels, annotations, ownerReferences, finalizers, ...kept } = current;
  return kept;
}

/** Lower-case letters and digits without vowels and look-alikes, as in generated names. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;

export function generatedSuffix(random: () => number): string {
  return Array.from(
    { length: suffixLength },
    () => suffixAlphabet[Math.floor(random() * suffixAlphabet.length)] ?? 'x',
  ).join('');
}

/** A version 4 UUID from the given random source, so that a seeded run repeats. */
export function generatedUid(random: () => number): string {
  return 'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'.replaceAll(/[xy]/g, (place) =>
    place === 'x' ? Math.floor(random() * 16).toString(16) : (8 + Math.floor(random() * 4)).toString(16),
  );
}

export function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace ?? '';
}
