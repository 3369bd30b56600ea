import type { KubeObject } from '../objects.ts';
import type { JsonMap } from '../patch/merge-patch.ts';
import type { DeleteOptions } from '../registry/deletion.ts';
import type { Draft } from '../registry/registry.ts';
import { apiVersionOf } from '../registry/resource.ts';
import { badRequest, invalid, Refusal, success, unsupportedValue } from '../status-errors.ts';
import { type Answer, presentItem, presentObject } from './answer.ts';
import { parseObject } from './body.ts';
import { type Call, isDryRun, nameOf } from './call.ts';
import { typed } from './fields.ts';
import { selectionOf } from './list.ts';

export interface Received {
  readonly object: KubeObject;
  readonly headers: Readonly<Record<string, string>>;
}

/** The object of a POST or PUT in its stored form. Throws 400 if its kind, name or namespace does not fit the path. */
function receive(call: Call): Received {
  const { of, at, body, query } = call;
  const json = parseObject(body, of.kind);
  refuseOtherKind(call, json);
  const result = typed(of.model, json, query);
  if (result.kind === 'refused') {
    throw new Refusal(
      badRequest(`${of.kind} in version "${of.version}" cannot be handled as a ${of.kind}: ${result.complaint}`),
    );
  }
  const fields = result.value;
  const metadata = (fields['metadata'] ?? {}) as Partial<KubeObject['metadata']>;
  if (metadata.namespace !== undefined && of.namespaced && metadata.namespace !== at.namespace) {
    throw new Refusal(
      badRequest('the namespace of the provided object does not match the namespace sent on the request'),
    );
  }
  const place = of.namespaced && at.namespace !== undefined ? { namespace: at.namespace } : {};
  const object = { ...fields, apiVersion: fields['apiVersion'] ?? apiVersionOf(of), kind: of.kind };
  return { object: { ...object, metadata: { ...metadata, ...place } } as KubeObject, headers: result.headers };
}

function refuseOtherKind({ of }: Call, json: JsonMap): void {
  const { kind = of.kind, apiVersion = apiVersionOf(of) } = json;
  if (kind !== of.kind) {
    const expected = of.group === '' ? 'core' : of.group.split('.')[0];
    throw new Refusal(
      badRequest(
        `${kind} in version "${apiVersion}" cannot be handled as a ${of.kind}: converting (${apiVersion}.${kind}) to (${expected}.${of.kind}): unknown conversion`,
      ),
    );
  }
  if (apiVersion !== apiVersionOf(of)) {
    throw new Refusal(
      badRequest(
        `the API version in the data (${apiVersion}) does not match the expected API version (${apiVersionOf(of)})`,
      ),
    );
  }
}

export function create(call: Call): Answer {
  const { registry, of, query } = call;
  const { object, headers } = receive(call);
  const created = registry.create(of, object as Draft<KubeObject>, { dryRun: isDryRun(query) });
  return { status: 201, body: presentObject(of, created, call.representation), headers };
}

export function update(call: Call, subresource: 'status' | undefined): Answer {
  const { registry, of, at, query } = call;
  const name = nameOf(call);
  const { object, headers } = receive(call);
  const given = object.metadata.name ?? '';
  if (given !== '' && given !== name) {
    throw new Refusal(badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`));
  }
  registry.get(of, at.namespace, name);
  const options = { dryRun: isDryRun(query), ...(subresource === undefined ? {} : { subresource }) };
  const updated = registry.update(of, at.namespace, name, () => object, options);
  return { status: 200, body: presentObject(of, updated, call.representation), headers };
}

const policies: readonly string[] = ['Foreground', 'Background', 'Orphan'];

/** The options of a DELETE, from its body, or from the query if it has no body. Throws 400 and 422. */
export function deleteOptionsOf({ body, query }: Pick<Call, 'body' | 'query'>): DeleteOptions & { dryRun: boolean } {
  const given = body.trim() === '' ? {} : (parseObject(body, 'DeleteOptions') as DeleteOptions & { dryRun?: string[] });
  const grace =
    given.gracePeriodSeconds ?? (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined);
  const propagationPolicy = given.propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  if (propagationPolicy !== undefined && !policies.includes(propagationPolicy)) {
    const cause = unsupportedValue('propagationPolicy', propagationPolicy, [...policies, 'nil']);
    throw new Refusal(invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [cause]));
  }
  return {
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(given.preconditions === undefined ? {} : { preconditions: given.preconditions }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    dryRun: isDryRun(query) || (given.dryRun ?? []).includes('All'),
  };
}

export function remove(call: Call): Answer {
  const { registry, of, at } = call;
  const name = nameOf(call);
  const { object, gone } = registry.delete(of, at.namespace, name, deleteOptionsOf(call));
  if (!gone || of.deleteAnswersObject) return { status: 200, body: presentObject(of, object, call.representation) };
  const group = of.group === '' ? {} : { group: of.group };
  return { status: 200, body: success(undefined, { name, ...group, kind: of.plural, uid: object.metadata.uid }) };
}

/** Deletes the selected objects, and answers with the list of them. */
export function removeCollection(call: Call): Answer {
  const { registry, of, at, query } = call;
  const selects = selectionOf(of, at.namespace, query);
  const options = deleteOptionsOf(call);
  const chosen = registry.store.list(of, at.namespace).filter(selects);
  const items = chosen.map(({ metadata: { namespace, name } }) => registry.delete(of, namespace, name, options).object);
  return {
    status: 200,
    body: {
      kind: `${of.kind}List`,
      apiVersion: apiVersionOf(of),
      metadata: { resourceVersion: String(registry.store.resourceVersion) },
      items: items.map((object) => presentItem(of, object, call.representation)),
    },
  };
}
