import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf, { type INamespace } from 'protobufjs';

const protoFolder = join(import.meta.dirname, 'proto');
const outFile = join(import.meta.dirname, '../../wrapper/agones/grpc/definition.json');

/** The messages of google.protobuf that the protocol uses, and the files that define them. */
const wellKnown = { Int64Value: 'google/protobuf/wrappers.proto', FieldMask: 'google/protobuf/field_mask.proto' };

/**
 * The SDK's messages and services in protobufjs' JSON form. Options are left out: they describe the REST gateway and
 * its documentation, and change nothing on the wire.
 */
export function agonesDefinition(): INamespace {
  const root = new protobuf.Root();
  for (const file of ['sdk.proto', 'alpha.proto', 'beta.proto'])
    protobuf.parse(readFileSync(join(protoFolder, file), 'utf8'), root, { keepCase: true });
  for (const [name, file] of Object.entries(wellKnown)) {
    const messages = protobuf.Root.fromJSON(protobuf.common.get(file) ?? {});
    root.define('google.protobuf').add(messages.lookupType(`google.protobuf.${name}`));
  }
  return JSON.parse(JSON.stringify(root), withoutOptions) as INamespace;
}

const omitted = new Set(['options', 'parsedOptions', 'edition']);

function withoutOptions(key: string, value: unknown): unknown {
  return omitted.has(key) ? undefined : value;
}

// Usage: node build/agones/generate-definition.ts
if (import.meta.main) writeFileSync(outFile, `${JSON.stringify(agonesDefinition(), null, 2)}\n`);
