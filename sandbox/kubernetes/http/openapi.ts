import { apiVersionOf, type Resource } from '../registry/resource.ts';
import { resources } from '../registry/table.ts';
import type { Answer } from './answer.ts';

/**
 * The part of the OpenAPI v3 documents that kubectl reads before it applies anything: the group versions, and that a
 * PATCH takes the parameters fieldValidation and dryRun. Undefined for any other path.
 */
export function answerOpenApi(path: string): Answer | undefined {
  if (path === '/openapi/v3') {
    const roots = [...new Set(resources.map(rootOf))];
    const paths = Object.fromEntries(roots.map((root) => [root, { serverRelativeURL: `/openapi/v3/${root}` }]));
    return { status: 200, body: { paths } };
  }
  const served = resources.filter((one) => path === `/openapi/v3/${rootOf(one)}`);
  if (served.length === 0) return undefined;
  const document = {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.36.2' },
    paths: Object.fromEntries(served.map(describe)),
  };
  return { status: 200, body: document };
}

function rootOf(of: Resource): string {
  return of.group === '' ? 'api/v1' : `apis/${apiVersionOf(of)}`;
}

function describe(of: Resource): [string, unknown] {
  const place = of.namespaced ? 'namespaces/{namespace}/' : '';
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
    name,
    in: 'query',
    schema: { type: 'string' },
  }));
  const { group, version, kind } = of;
  const patch = {
    operationId: `patch${kind}`,
    parameters,
    responses: { 200: { description: 'OK' } },
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group, version, kind },
  };
  return [`/${rootOf(of)}/${place}${of.plural}/{name}`, { patch }];
}
