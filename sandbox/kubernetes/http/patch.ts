import type { KubeObject } from '../objects.ts';
import { isMap, type JsonMap, mergePatch } from '../patch/merge-patch.ts';
import { goPrint, strategicMergePatch } from '../patch/strategic-merge-patch.ts';
import { apiVersionOf } from '../registry/resource.ts';
import { badRequest, invalid, invalidValue, Refusal, unsupportedPatch } from '../status-errors.ts';
import { type Answer, presentObject } from './answer.ts';
import { parseJson } from './body.ts';
import { type Call, isDryRun, nameOf } from './call.ts';
import { typed } from './fields.ts';

/**
 * Applies a call's patch to the object as clients see it. Throws 400 for a patch that does not parse, 415 for any other
 * type of patch, 500 for a list item without its key.
 */
export function applyPatch(call: Pick<Call, 'body' | 'mediaType'>, model: string, target: JsonMap): JsonMap {
  switch (call.mediaType) {
    case 'application/strategic-merge-patch+json':
      return strategicMergePatch(model, target, parseMap(call.body, ''));
    case 'application/merge-patch+json':
      return mergePatch(target, parseMap(call.body, 'error decoding patch: ')) as JsonMap;
    default:
      throw new Refusal(unsupportedPatch());
  }
}

function parse(text: string, prefix: string): unknown {
  const parsed = parseJson(text);
  if ('complaint' in parsed) throw new Refusal(badRequest(`${prefix}${parsed.complaint}`));
  return parsed.value;
}

function parseMap(text: string, prefix: string): JsonMap {
  const value = parse(text, prefix);
  if (isMap(value)) return value;
  const found = Array.isArray(value) ? 'array' : typeof value;
  const complaint = `json: cannot unmarshal ${found} into Go value of type map[string]interface {}`;
  throw new Refusal(badRequest(`${prefix}${complaint}`));
}

export function patch(call: Call, subresource: 'status' | undefined): Answer {
  const { registry, of, at, query } = call;
  const name = nameOf(call);
  let headers: Readonly<Record<string, string>> = {};
  const change = (current: KubeObject): KubeObject => {
    const patched = applyPatch(call, of.model, presentObject(of, current, 'object'));
    const result = typed(of.model, patched, query);
    if (result.kind === 'refused') throw refusedFields(call, patched, result.complaint);
    headers = result.headers;
    const object = result.value as unknown as KubeObject;
    if (object.metadata?.name !== name) {
      const given = object.metadata?.name ?? '';
      throw new Refusal(badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`));
    }
    return { ...object, apiVersion: current.apiVersion || apiVersionOf(of), kind: of.kind };
  };
  const options = { dryRun: isDryRun(query), ...(subresource === undefined ? {} : { subresource }) };
  const patched = registry.update(of, at.namespace, name, change, options);
  return { status: 200, body: presentObject(of, patched, call.representation), headers };
}

/** The refusal quotes what could not be read: the patch if fields are unknown, otherwise the whole patched object. */
function refusedFields({ body, mediaType }: Call, patched: JsonMap, complaint: string): Refusal {
  const quotesPatch = complaint.startsWith('strict') && mediaType === 'application/strategic-merge-patch+json';
  const quoted = quotesPatch ? goPrint(JSON.parse(body)) : JSON.stringify(patched);
  const cause = invalidValue('patch', JSON.stringify(quoted), complaint);
  return new Refusal(invalid({ group: '', kind: '' }, '', [cause]));
}
