import type { SdkCall } from '../model/sdk-call.ts';
import type { Fields, Message } from './fields.ts';

export type Verb = 'GET' | 'POST' | 'PUT' | 'PATCH';
export type ServiceName = 'agones.dev.sdk.SDK' | 'agones.dev.sdk.beta.SDK' | 'agones.dev.sdk.alpha.SDK';

/** One call of the protocol, for REST and gRPC. */
export interface SdkMethod {
  readonly service: ServiceName;
  readonly name: string;
  readonly verb: Verb;
  /** A part in braces is a field of the message. */
  readonly path: string;
  /** `health` takes a stream of messages, `watch` answers with one. */
  readonly kind: 'unary' | 'health' | 'watch';
  readonly read: (fields: Fields) => SdkCall;
  /** gRPC wraps some messages in another one that REST does not have. */
  readonly unwrap?: (message: Message) => Message;
  /** Adds what REST expresses by the mere presence of a field. */
  readonly complete?: (message: Message) => Message;
}

type Reader = SdkMethod['read'];

function method(
  service: ServiceName,
  name: string,
  route: `${Verb} /${string}`,
  read: Reader,
  more: Partial<SdkMethod> = {},
): SdkMethod {
  const [verb, path = ''] = route.split(' ');
  return { service, name, verb: verb as Verb, path, kind: 'unary', read, ...more };
}

const stable = 'agones.dev.sdk.SDK';
const beta = 'agones.dev.sdk.beta.SDK';
const alpha = 'agones.dev.sdk.alpha.SDK';

const plain = (kind: 'ready' | 'allocate' | 'shutdown' | 'health' | 'get-game-server') => () => ({ kind }) as const;
const metadata = (kind: 'set-label' | 'set-annotation') => (fields: Fields) =>
  ({ kind, key: fields.text('key'), value: fields.text('value') }) as const;
const listValue = (kind: 'add-list-value' | 'remove-list-value') => (fields: Fields) =>
  ({ kind, name: fields.text('name'), value: fields.text('value') }) as const;
const player = (kind: 'connect-player' | 'disconnect-player' | 'is-player-connected') => (fields: Fields) =>
  ({ kind, playerId: fields.text('playerID') }) as const;
const playerQuery = (kind: 'get-player-capacity' | 'get-player-count' | 'get-connected-players') => () =>
  ({ kind }) as const;

const updateCounter: Reader = (fields) => ({
  kind: 'update-counter',
  name: fields.text('name'),
  count: fields.optionalInt64('count'),
  capacity: fields.optionalInt64('capacity'),
  difference: fields.int64('countDiff'),
});

const updateList: Reader = (fields) => ({
  kind: 'update-list',
  name: fields.text('name'),
  capacity: fields.int64('capacity'),
  values: fields.texts('values'),
  fields: fields
    .text('updateMask')
    .split(',')
    .filter((path) => path !== ''),
});

/** On the wire `google.protobuf.Int64Value` is a message of its own, which distinguishes 0 from unset. */
function unwrapCounter({ counterUpdateRequest }: Message): Message {
  const { count, capacity, ...rest } = asMessage(counterUpdateRequest);
  return { ...rest, count: asMessage(count)['value'], capacity: asMessage(capacity)['value'] };
}

function unwrapList({ list, update_mask: mask }: Message): Message {
  const paths = asMessage(mask)['paths'];
  return { ...asMessage(list), updateMask: Array.isArray(paths) ? paths.join(',') : '' };
}

/** A PATCH without a field mask sets the fields that its body names. */
function maskByPresence(message: Message): Message {
  const mask = message['updateMask'] ?? message['update_mask'];
  const named = Object.keys(message).filter((name) => name === 'capacity' || name === 'values');
  return { ...message, updateMask: mask ?? named.join(',') };
}

function asMessage(value: unknown): Message {
  return typeof value === 'object' && value !== null ? (value as Message) : {};
}

/** Every call of the stable, the beta and the alpha SDK. */
export const methods: readonly SdkMethod[] = [
  method(stable, 'Ready', 'POST /ready', plain('ready')),
  method(stable, 'Allocate', 'POST /allocate', plain('allocate')),
  method(stable, 'Shutdown', 'POST /shutdown', plain('shutdown')),
  method(stable, 'Health', 'POST /health', plain('health'), { kind: 'health' }),
  method(stable, 'GetGameServer', 'GET /gameserver', plain('get-game-server')),
  method(stable, 'WatchGameServer', 'GET /watch/gameserver', plain('get-game-server'), { kind: 'watch' }),
  method(stable, 'SetLabel', 'PUT /metadata/label', metadata('set-label')),
  method(stable, 'SetAnnotation', 'PUT /metadata/annotation', metadata('set-annotation')),
  method(stable, 'Reserve', 'POST /reserve', (fields) => ({ kind: 'reserve', seconds: fields.int64('seconds') })),
  method(beta, 'GetCounter', 'GET /v1beta1/counters/{name}', (fields) => ({
    kind: 'get-counter',
    name: fields.text('name'),
  })),
  method(beta, 'UpdateCounter', 'PATCH /v1beta1/counters/{name}', updateCounter, { unwrap: unwrapCounter }),
  method(beta, 'GetList', 'GET /v1beta1/lists/{name}', (fields) => ({ kind: 'get-list', name: fields.text('name') })),
  method(beta, 'UpdateList', 'PATCH /v1beta1/lists/{name}', updateList, {
    unwrap: unwrapList,
    complete: maskByPresence,
  }),
  method(beta, 'AddListValue', 'POST /v1beta1/lists/{name}:addValue', listValue('add-list-value')),
  method(beta, 'RemoveListValue', 'POST /v1beta1/lists/{name}:removeValue', listValue('remove-list-value')),
  method(alpha, 'PlayerConnect', 'POST /alpha/player/connect', player('connect-player')),
  method(alpha, 'PlayerDisconnect', 'POST /alpha/player/disconnect', player('disconnect-player')),
  method(alpha, 'SetPlayerCapacity', 'PUT /alpha/player/capacity', (fields) => ({
    kind: 'set-player-capacity',
    capacity: fields.int64('count'),
  })),
  method(alpha, 'GetPlayerCapacity', 'GET /alpha/player/capacity', playerQuery('get-player-capacity')),
  method(alpha, 'GetPlayerCount', 'GET /alpha/player/count', playerQuery('get-player-count')),
  method(alpha, 'IsPlayerConnected', 'GET /alpha/player/connected/{playerID}', player('is-player-connected')),
  method(alpha, 'GetConnectedPlayers', 'GET /alpha/player/connected', playerQuery('get-connected-players')),
];
