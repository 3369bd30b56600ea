import { sessionAnnotation } from '../../shared/fleet-names.ts';
import {
  type AllocationRequest,
  anyGameServer,
  type CounterSelector,
  type GameServerSelector,
  type LabelExpression,
  type ListSelector,
  type Priority,
} from '../allocation/allocation-request.ts';
import { grpcCodes } from './grpc-code.ts';
import { type Fields, fieldsOf, flagOf, integerOf, listOf, mapOf, textOf, wordOf } from './read-fields.ts';
import { RequestError } from './request-error.ts';
import { requestProblems } from './request-problems.ts';

export interface ReadRequest {
  readonly request: AllocationRequest;
  /** Parts of the request that have no effect. */
  readonly ignored: readonly string[];
}

/**
 * Reads the body of Agones' `POST /gameserverallocation` (allocation.proto's AllocationRequest as JSON). Throws a
 * RequestError if the body is invalid or asks for something that is not supported.
 */
export function readAllocationRequest(body: unknown): ReadRequest {
  const fields = fieldsOf(body, 'request');
  if (flagOf(fieldsOf(fields['multiClusterSetting'], 'multiClusterSetting')['enabled'], 'multiClusterSetting.enabled'))
    throw notServed('multi-cluster allocation', 'ask the allocator of each cluster in turn');
  const states = ['READY', 'ALLOCATED'] as const;
  const read = (value: unknown, path: string) => readSelector(value, path, states);
  const selectors = listOf(fields['gameServerSelectors'], 'gameServerSelectors', read);
  const preferred = listOf(fields['preferredGameServerSelectors'], 'preferredGameServerSelectors', read);
  const required = read(fields['requiredGameServerSelector'], 'requiredGameServerSelector');
  const metadata = fields['metadata'] ?? fields['metaPatch'];
  return finish(fields, {
    namespace: textOf(fields['namespace'], 'namespace'),
    selectors: selectors.length > 0 ? selectors : [...preferred, required],
    metadata: fieldsOf(metadata, 'metadata'),
  });
}

/**
 * Reads a GameServerAllocation document (allocation.agones.dev/v1), as `kubectl create -f` takes it on a cluster with
 * Agones. Throws a RequestError.
 */
export function readAllocationDocument(document: unknown, namespace: string): ReadRequest {
  const { kind, apiVersion, spec: specValue, metadata: objectMetadata } = fieldsOf(document, 'document');
  if (kind !== 'GameServerAllocation' || !String(apiVersion).startsWith('allocation.agones.dev/'))
    throw new RequestError('Invalid document: expected a GameServerAllocation', { code: grpcCodes.invalidArgument });
  const spec = fieldsOf(specValue, 'spec');
  if (flagOf(fieldsOf(spec['multiClusterSetting'], 'spec.multiClusterSetting')['enabled'], 'spec.multiClusterSetting'))
    throw notServed('multi-cluster allocation', 'ask the allocator of each cluster in turn');
  const states = ['Ready', 'Allocated'] as const;
  const read = (value: unknown, path: string) => readSelector(value, path, states);
  const selectors = listOf(spec['selectors'], 'spec.selectors', read);
  const preferred = listOf(spec['preferred'], 'spec.preferred', read);
  return finish(spec, {
    namespace: textOf(fieldsOf(objectMetadata, 'metadata')['namespace'], 'metadata.namespace') || namespace,
    selectors: selectors.length > 0 ? selectors : [...preferred, read(spec['required'], 'spec.required')],
    metadata: fieldsOf(spec['metadata'], 'spec.metadata'),
  });
}

interface Parts {
  readonly namespace: string;
  readonly selectors: readonly (GameServerSelector & { readonly hasPlayers: boolean })[];
  readonly metadata: Fields;
}

/** The part that both forms share. */
function finish(fields: Fields, { namespace, selectors, metadata }: Parts): ReadRequest {
  for (const name of ['counters', 'lists'])
    if (Object.keys(fieldsOf(fields[name], name)).length > 0)
      throw notServed(`${name} (actions at allocation)`, 'let the game change them when it sees that it is allocated');
  const { [sessionAnnotation]: sessionId, ...annotations } = mapOf(
    metadata['annotations'],
    'metadata.annotations',
    textOf,
  );
  const request: AllocationRequest = {
    namespace,
    sessionId: sessionId || undefined,
    selectors: selectors.map(({ hasPlayers: _, ...selector }) => selector),
    scheduling: wordOf(fields['scheduling'] || undefined, 'scheduling', ['Packed', 'Distributed']),
    priorities: listOf(fields['priorities'], 'priorities', readPriority),
    labels: mapOf(metadata['labels'], 'metadata.labels', textOf),
    annotations,
  };
  const problems = requestProblems(request);
  if (problems.length > 0)
    throw new RequestError(
      `GameServerAllocation.allocation.agones.dev "" is invalid: ${problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`}`,
      { code: 422 },
    );
  // Agones ignores them too unless a feature gate that is off by default is turned on.
  const ignored = selectors.some(({ hasPlayers }) => hasPlayers) ? ['players selectors'] : [];
  return { request, ignored };
}

function notServed(what: string, instead: string): RequestError {
  return new RequestError(`Not served: ${what}; ${instead}`, { code: grpcCodes.unimplemented });
}

function readSelector(
  value: unknown,
  path: string,
  states: readonly [string, string],
): GameServerSelector & { readonly hasPlayers: boolean } {
  const fields = fieldsOf(value, path);
  const state = wordOf(fields['gameServerState'] || undefined, `${path}.gameServerState`, [...states]);
  return {
    ...anyGameServer,
    matchLabels: mapOf(fields['matchLabels'], `${path}.matchLabels`, textOf),
    matchExpressions: listOf(fields['matchExpressions'], `${path}.matchExpressions`, readExpression),
    state: state === states[0] ? 'Ready' : 'Allocated',
    counters: mapOf(fields['counters'], `${path}.counters`, readCounterSelector),
    lists: mapOf(fields['lists'], `${path}.lists`, readListSelector),
    hasPlayers: Object.keys(fieldsOf(fields['players'], `${path}.players`)).length > 0,
  };
}

function readExpression(value: unknown, path: string): LabelExpression {
  const { key, operator, values } = fieldsOf(value, path);
  return {
    key: textOf(key, `${path}.key`),
    operator: wordOf(operator, `${path}.operator`, ['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: listOf(values, `${path}.values`, textOf),
  };
}

function readCounterSelector(value: unknown, path: string): CounterSelector {
  const { minCount, maxCount, minAvailable, maxAvailable } = fieldsOf(value, path);
  return {
    minCount: integerOf(minCount, `${path}.minCount`),
    maxCount: integerOf(maxCount, `${path}.maxCount`),
    minAvailable: integerOf(minAvailable, `${path}.minAvailable`),
    maxAvailable: integerOf(maxAvailable, `${path}.maxAvailable`),
  };
}

function readListSelector(value: unknown, path: string): ListSelector {
  const { containsValue, minAvailable, maxAvailable } = fieldsOf(value, path);
  return {
    containsValue: textOf(containsValue, `${path}.containsValue`),
    minAvailable: integerOf(minAvailable, `${path}.minAvailable`),
    maxAvailable: integerOf(maxAvailable, `${path}.maxAvailable`),
  };
}

function readPriority(value: unknown, path: string): Priority {
  const { type, key, order } = fieldsOf(value, path);
  return {
    type: wordOf(type, `${path}.type`, ['Counter', 'List']),
    key: textOf(key, `${path}.key`),
    order: wordOf(order || undefined, `${path}.order`, ['Ascending', 'Descending']),
  };
}
