import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agonesDefinition } from '../../../build/agones/generate-definition.ts';
import definition from '../../../wrapper/agones/grpc/definition.json' with { type: 'json' };
import { methods } from '../../../wrapper/agones/protocol/methods.ts';

test("the gRPC definition is what Agones' .proto files give", () => {
  assert.deepEqual(definition, agonesDefinition(), 'run: node build/agones/generate-definition.ts');
});

test('the wrapper serves every method of the protocol, and no other', () => {
  const sdk = definition.nested.agones.nested.dev.nested.sdk.nested;
  const defined = [
    ...Object.keys(sdk.SDK.methods).map((name) => `agones.dev.sdk.SDK/${name}`),
    ...Object.keys(sdk.beta.nested.SDK.methods).map((name) => `agones.dev.sdk.beta.SDK/${name}`),
    ...Object.keys(sdk.alpha.nested.SDK.methods).map((name) => `agones.dev.sdk.alpha.SDK/${name}`),
  ];
  assert.deepEqual(methods.map(({ service, name }) => `${service}/${name}`).sort(), defined.sort());
});
