import { codes } from '../sdk-error.ts';
import type { Answer } from './answer.ts';
import { changed, type SdkModel } from './sdk-model.ts';

/** Prefix of every key that a game sets, so that it cannot overwrite any other key. */
export const keyPrefix = 'agones.dev/sdk-';

/** Limit for labels and for annotations, each. Labels are sent with every inventory event. */
const maxNames = 64;
/** Limit for all annotations together, keys included: Kubernetes' limit for one object. */
const maxAnnotationBytes = 262_144;

const qualifiedName = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?)?$/;

/** Sets a label or an annotation under Kubernetes' rules for both. */
export function setMetadata(model: SdkModel, kind: 'label' | 'annotation', key: string, value: string): Answer {
  const problem = problemOf(model, kind, key, value);
  if (problem !== undefined) return { model, error: { code: codes.invalidArgument, message: problem } };
  const name = `${keyPrefix}${key}`;
  const changes =
    kind === 'label'
      ? { labels: new Map(model.labels).set(name, value) }
      : { annotations: new Map(model.annotations).set(name, value) };
  return { model: changed(model, changes), reply: {} };
}

function problemOf(model: SdkModel, kind: 'label' | 'annotation', key: string, value: string): string | undefined {
  if (!qualifiedName.test(key))
    return `invalid ${kind} key ${JSON.stringify(key.slice(0, 64))}: expected at most 63 letters, digits, '-', '_' or '.', begun and ended by a letter or a digit`;
  if (kind === 'label' && !labelValue.test(value))
    return `invalid label value ${JSON.stringify(value.slice(0, 64))} for key ${JSON.stringify(key)}: expected at most 63 letters, digits, '-', '_' or '.', begun and ended by a letter or a digit`;
  const known = kind === 'label' ? model.labels : model.annotations;
  if (!known.has(`${keyPrefix}${key}`) && known.size >= maxNames)
    return `invalid ${kind} key ${JSON.stringify(key)}: there are ${maxNames} already`;
  if (kind === 'annotation' && bytesWith(model.annotations, `${keyPrefix}${key}`, value) > maxAnnotationBytes)
    return `invalid annotation value for key ${JSON.stringify(key)}: all together must have at most ${maxAnnotationBytes} bytes`;
  return undefined;
}

function bytesWith(annotations: ReadonlyMap<string, string>, name: string, value: string): number {
  let bytes = 0;
  for (const [key, text] of new Map(annotations).set(name, value))
    bytes += Buffer.byteLength(key) + Buffer.byteLength(text);
  return bytes;
}
