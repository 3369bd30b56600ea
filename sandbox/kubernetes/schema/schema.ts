import * as models from '@kubernetes/client-node/dist/gen/models/all.js';

/** The shape of a field, read from the official client's models, which are generated from the published OpenAPI. */
export type Shape =
  | { readonly kind: 'object'; readonly model: string }
  | { readonly kind: 'list'; readonly item: Shape }
  | { readonly kind: 'map'; readonly value: Shape }
  | { readonly kind: 'string' | 'boolean' | 'number' | 'time' | 'micro-time' | 'int-or-string' | 'any' };

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

interface Model {
  getAttributeTypeMap?(): readonly Attribute[];
}

const modelsByName = models as unknown as Readonly<Record<string, Model>>;
const fieldsByModel = new Map<string, ReadonlyMap<string, Shape>>();

/** The fields of a model such as V1PodSpec, by their JSON names; empty for an unknown model. */
export function fieldsOf(model: string): ReadonlyMap<string, Shape> {
  let fields = fieldsByModel.get(model);
  if (fields === undefined) {
    const attributes = modelsByName[model]?.getAttributeTypeMap?.() ?? [];
    fields = new Map(attributes.map(({ baseName, type }) => [baseName, shapeOf(type)]));
    fieldsByModel.set(model, fields);
  }
  return fields;
}

function shapeOf(type: string): Shape {
  const item = /^Array<(.+)>$/.exec(type)?.[1];
  if (item !== undefined) return { kind: 'list', item: shapeOf(item) };
  const value = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (value !== undefined) return { kind: 'map', value: shapeOf(value) };
  switch (type) {
    case 'string':
    case 'boolean':
    case 'number':
      return { kind: type };
    case 'Date':
      return { kind: 'time' };
    case 'V1MicroTime':
      return { kind: 'micro-time' };
    case 'IntOrString':
      return { kind: 'int-or-string' };
    default:
      return modelsByName[type] === undefined ? { kind: 'any' } : { kind: 'object', model: type };
  }
}

/** Go's name for the model: PodSpec for V1PodSpec, Event for CoreV1Event and EventsV1Event. */
export function goName(model: string): string {
  return model.replace(/^(Core|Events|Rbac|Discovery|Authentication)?V\d+(alpha\d+|beta\d+)?/, '');
}
