import { gameServerStates, type InventoryEvent, type PublishedPort } from '../events/event.ts';
import type { RefusedEvent } from '../events/inventory.ts';
import { interruptionActions, interruptionKinds, parseInstant } from '../interruption/interruption.ts';
import { type Instance, unknownInstance } from '../metadata/instance.ts';
import type {
  AgentMessage,
  HelloMessage,
  InterruptionMessage,
  SessionMessage,
  StateMessage,
  WelcomeMessage,
  WrapperMessage,
} from './link-message.ts';

/** `unknown`: a well-formed message whose type this side does not know, from a newer peer. `garbage`: not a message. */
export type DecodedLine<Message> =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'garbage'; readonly reason: string };

/** A day. A longer interval is treated as malformed. */
const maxAliveMs = 86_400_000;

type Fields = Readonly<Record<string, unknown>>;
type Reader<Message> = (fields: Fields) => Message | string;

/** Reads a line from the agent. Unknown fields are ignored. */
export function decodeAgentLine(line: string): DecodedLine<AgentMessage> {
  return decodeLine(line, agentReaders);
}

/** Reads a line from a wrapper. The publisher checks the `event` of an event message. */
export function decodeWrapperLine(line: string): DecodedLine<WrapperMessage> {
  return decodeLine(line, wrapperReaders);
}

function decodeLine<Message>(line: string, readers: Readonly<Record<string, Reader<Message>>>): DecodedLine<Message> {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    return { kind: 'garbage', reason: 'not JSON' };
  }
  if (!isFields(fields)) return { kind: 'garbage', reason: 'not a JSON object' };
  const type = fields['type'];
  if (typeof type !== 'string') return { kind: 'garbage', reason: 'type is not a string' };
  const reader = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (reader === undefined) return { kind: 'unknown', type: type.slice(0, 64) };
  const message = reader(fields);
  return typeof message === 'string'
    ? { kind: 'garbage', reason: `${type}: ${message}` }
    : { kind: 'message', message };
}

const agentReaders: Readonly<Record<string, Reader<AgentMessage>>> = {
  welcome: readWelcome,
  alive: ({ next_ms }) =>
    isWhole(next_ms, 1) && next_ms <= maxAliveMs ? { type: 'alive', next_ms } : 'next_ms is not a time',
  interruption: readInterruption,
  cancelled: ({ id }) => (typeof id === 'string' ? { type: 'cancelled', id } : 'id is not a string'),
  published: ({ ids }) => (isStrings(ids) ? { type: 'published', ids } : 'ids is not a list of strings'),
  refused: ({ events }) =>
    isRefusedEvents(events) ? { type: 'refused', events } : 'events is not a list of {id, reason}',
  session: readSession,
  error: ({ message }) => (typeof message === 'string' ? { type: 'error', message } : 'message is not a string'),
};

const wrapperReaders: Readonly<Record<string, Reader<WrapperMessage>>> = {
  hello: readHello,
  state: (fields) => {
    const { state, players, occupancy } = fields as Readonly<Record<string, unknown>>;
    const known = gameServerStates.find((candidate) => candidate === state);
    if (known === undefined) return 'state is not one of the inventory';
    if (players !== undefined && !isWhole(players, 0)) return 'players is not a count';
    const base = { type: 'state', state: known, ...(players === undefined ? {} : { players }) } as const;
    const message = { ...base, ...readStateDetails(fields) };
    return occupancy === 'idle' || occupancy === 'occupied' ? { ...message, occupancy } : message;
  },
  event: ({ event }) =>
    isFields(event) ? { type: 'event', event: event as unknown as InventoryEvent } : 'event is not an object',
};

function readWelcome({ version, publishes, node, instance }: Fields): WelcomeMessage | string {
  if (!isWhole(version, 1)) return 'version is not a version';
  if (typeof publishes !== 'boolean') return 'publishes is not a boolean';
  const welcome = { type: 'welcome', version, publishes, node: typeof node === 'string' ? node : null } as const;
  return isFields(instance) ? { ...welcome, instance: pickInstance(instance) } : welcome;
}

/** JSON omits undefined values, so an absent name is a fact that the agent does not know either. */
function pickInstance(fields: Fields): Instance {
  const texts = Object.keys(unknownInstance).map((name) => [name, fields[name]] as const);
  return { ...unknownInstance, ...Object.fromEntries(texts.filter(([, value]) => typeof value === 'string')) };
}

function readInterruption(fields: Fields): InterruptionMessage | string {
  const { id, kind, action, deadline = null, end_by = null } = fields as Readonly<Record<string, unknown>>;
  if (typeof id !== 'string' || typeof kind !== 'string' || typeof action !== 'string')
    return 'id, kind or action is not a string';
  if (!isInstantOrNull(deadline)) return 'deadline is not an instant';
  if (!isInstantOrNull(end_by)) return 'end_by is not an instant';
  return { type: 'interruption', id, ...nearestKnown(kind, action, deadline), deadline, end_by };
}

/**
 * Wrappers are built into game images and outlive many agents. An unknown kind or action of a newer agent must not make
 * a wrapper ignore the deadline, which matters more than the name.
 */
function nearestKnown(
  kind: string,
  action: string,
  deadline: string | null,
): Pick<InterruptionMessage, 'kind' | 'action'> {
  const isRisk = deadline === null;
  return {
    kind: interruptionKinds.find((known) => known === kind) ?? (isRisk ? 'rebalance' : 'maintenance'),
    action: interruptionActions.find((known) => known === action) ?? (isRisk ? 'none' : 'terminate'),
  };
}

/** The optional fields for fleets. A malformed one is dropped, as an older agent would ignore it. */
function readStateDetails(fields: Fields): Partial<StateMessage> {
  const { counters, lists } = fields as Readonly<Record<string, unknown>>;
  const texts = ['address', 'session_taken', 'session_over'].filter((name) => isShortText(fields[name]));
  return {
    ...Object.fromEntries(texts.map((name) => [name, fields[name]])),
    ...(isFields(counters) && Object.entries(counters).every(isCounter) && { counters: counters as Counters }),
    ...(isFields(lists) && Object.entries(lists).every(isList) && { lists: lists as Lists }),
  };
}

type Counters = NonNullable<StateMessage['counters']>;
type Lists = NonNullable<StateMessage['lists']>;

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 512 && !/\p{Cc}/u.test(value);
}

/** The allowed characters of an annotation's name part. */
const countName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,53}[A-Za-z0-9])?$/;

function isCounter([name, value]: [string, unknown]): boolean {
  return countName.test(name) && typeof value === 'string' && /^\d{1,15}\/\d{1,15}$/.test(value);
}

function isList([name, value]: [string, unknown]): boolean {
  return countName.test(name) && isFields(value) && isWhole(value['capacity'], 0) && isStrings(value['values']);
}

function readSession({
  session_id: id,
  labels,
  annotations,
  ends_if_new: ends,
  spent,
}: Fields): SessionMessage | string {
  if (id !== null && typeof id !== 'string') return 'session_id is not a string';
  if (!isTexts(labels) || !isTexts(annotations)) return 'labels or annotations is not an object of strings';
  return { type: 'session', session_id: id, labels, annotations, ends_if_new: ends === true, spent: spent === true };
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isFields(value) && isStrings(Object.values(value));
}

function readHello(fields: Fields): HelloMessage | string {
  const { version, game_server_id: id, pid, ports = {} } = fields as Readonly<Record<string, unknown>>;
  if (!isWhole(version, 1)) return 'version is not a version';
  if (typeof id !== 'string' || !/^[\w.:-]{1,128}$/.test(id)) return 'game_server_id is not a name';
  if (!isPorts(ports)) return 'ports is not an object of {port, protocol}';
  const texts: Record<string, string> = {};
  for (const name of ['namespace', 'pod', 'pod_uid', 'token']) {
    const text = fields[name];
    if (typeof text === 'string') texts[name] = text;
    else if (text !== undefined) return `${name} is not a string`;
  }
  // Signalling PID 0 or a negative PID would reach whole process groups.
  if (pid !== undefined && !isWhole(pid, 1)) return 'pid is not a process id';
  return { type: 'hello', version, game_server_id: id, ports, ...(pid === undefined ? {} : { pid }), ...texts };
}

const protocols: readonly unknown[] = ['udp', 'tcp', 'udp+tcp'];

function isPorts(value: unknown): value is Readonly<Record<string, PublishedPort>> {
  return (
    isFields(value) &&
    Object.values(value).every(
      (item) =>
        isFields(item) && isWhole(item['port'], 1) && item['port'] <= 65_535 && protocols.includes(item['protocol']),
    )
  );
}

function isWhole(value: unknown, min: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isRefusedEvents(value: unknown): value is RefusedEvent[] {
  return (
    Array.isArray(value) &&
    value.every((item) => isFields(item) && typeof item['id'] === 'string' && typeof item['reason'] === 'string')
  );
}

function isInstantOrNull(value: unknown): value is string | null {
  return value === null || parseInstant(value) !== undefined;
}
