import {
  type GameServerData,
  type GameServerState,
  gameServerStates,
  type InventoryEvent,
  type NodeData,
  nodeStates,
  type PortProtocol,
} from './event.ts';

/**
 * Why a text is no event of ours. The first two say that nothing was looked at; `newer-version` and `unknown-type` come from a
 * newer sender and may be meant well; `wrong-shape` is a sender's mistake.
 */
export const refusalCodes = ['too-long', 'not-json', 'unknown-type', 'newer-version', 'wrong-shape'] as const;
export type RefusalCode = (typeof refusalCodes)[number];

export interface RefusedText {
  /** One line: where, what was expected, what was found. Never longer than a few hundred characters. */
  readonly refused: string;
  readonly code: RefusalCode;
}

export type ParsedEvent = { readonly event: InventoryEvent } | RefusedText;

/**
 * An event of ours has 1 to 4 KiB. Far below the 1 MiB that a queue takes, so that a hostile sender cannot make every consumer
 * hold megabytes, and equal to the longest line of the link.
 */
export const maxEventCharacters = 65_536;

/** Reads the body of one message. Agrees with `event-schema.json`: what one takes, the other takes. */
export function parseInventoryEvent(text: string): ParsedEvent {
  if (text.length > maxEventCharacters)
    return refuse('too-long', `event: ${text.length} characters, expected at most ${maxEventCharacters}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('not-json', `event: expected JSON, found ${shown(text)}`);
  }
  return checkInventoryEvent(value);
}

/** The same for a value that was parsed already. The event returned is `value` itself: unknown fields stay on it. */
export function checkInventoryEvent(value: unknown): ParsedEvent {
  if (!isFields(value)) return wrong('event', 'a JSON object', value);
  const shape = typeof value['type'] === 'string' ? shapes.get(value['type']) : undefined;
  if (shape === undefined) return refuseType(value['type']);
  const problem = firstProblem('', envelopeRules, value);
  if (problem !== undefined) return problem;
  const data = value['data'];
  if (!isFields(data)) return wrong('data', 'a JSON object', data);
  const dataProblem = firstProblem('data.', shape.rules, data);
  if (dataProblem !== undefined) return dataProblem;
  if (shape.isNode && data['node'] === null && data['instance_id'] === null)
    return refuse('wrong-shape', 'data: expected a node or an instance_id, found neither');
  // Every field has been looked at above, which the compiler cannot follow through the tables.
  return { event: value as unknown as InventoryEvent };
}

type Fields = Readonly<Record<string, unknown>>;

interface Rule {
  readonly field: string;
  readonly isRight: (value: unknown) => boolean;
  readonly expected: string;
}

type Check = Omit<Rule, 'field'>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(longest: number): Check {
  return {
    isRight: (value) => typeof value === 'string' && value !== '' && isAtMost(value, longest),
    expected: `a text of 1 to ${longest} characters`,
  };
}

/** Counts as JSON Schema does: by code points, of which a surrogate pair is one. */
function isAtMost(value: string, longest: number): boolean {
  return value.length <= longest || (value.length <= 2 * longest && [...value].length <= longest);
}

function matching(pattern: RegExp, expected: string): Check {
  return { isRight: (value) => typeof value === 'string' && pattern.test(value), expected };
}

function integer(min: number, max: number): Check {
  return {
    isRight: (value) => typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max,
    expected: `a whole number from ${min} to ${max}`,
  };
}

function oneOf(words: readonly string[]): Check {
  const known = new Set<unknown>(words);
  return { isRight: (value) => known.has(value), expected: words.join(' or ') };
}

function orNull({ isRight, expected }: Check): Check {
  return { isRight: (value) => value === null || isRight(value), expected: `${expected}, or null` };
}

function mapOf(longest: number, name: (key: string) => boolean, item: (value: unknown) => boolean): Check['isRight'] {
  return (value) => {
    if (!isFields(value)) return false;
    let entries = 0;
    // for...in: half the time of Object.entries; JSON.parse makes objects without enumerable inherited keys.
    for (const key in value) if (++entries > longest || !name(key) || !item(value[key])) return false;
    return true;
  };
}

function rules(checks: Readonly<Record<string, Check>>): readonly Rule[] {
  return Object.entries(checks).map(([field, check]) => ({ field, ...check }));
}

const instantPattern =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const instant = matching(instantPattern, 'an instant such as 2026-04-24T17:11:44.000Z');
const word = matching(/^[a-z][a-z0-9-]{0,63}$/, 'a word in kebab-case');
const port = integer(1, 65_535);
const protocols: readonly PortProtocol[] = ['udp', 'tcp', 'udp+tcp'];
const protocol = oneOf(protocols);
const portName = /^[\w.-]{1,64}$/;
const maxSequence = Number.MAX_SAFE_INTEGER;

const placementChecks = {
  region: orNull(text(64)),
  zone: orNull(text(64)),
  node: orNull(text(253)),
  instance_id: orNull(text(64)),
  instance_type: orNull(text(64)),
  lifecycle: orNull(text(32)),
};

const envelopeRules = rules({
  specversion: oneOf(['1.0']),
  id: text(256),
  source: text(512),
  subject: text(256),
  time: instant,
  datacontenttype: oneOf(['application/json']),
});

/** Typed by the contract, so that a new field does not compile before it is checked here. */
const gameServerChecks: Readonly<Record<Exclude<keyof GameServerData, 'status' | 'lease_expires_at'>, Check>> = {
  ...placementChecks,
  public_hostname: orNull(text(253)),
  public_port: orNull(port),
  type: text(128),
  game_server_id: matching(/^[\w.:-]{1,128}$/, 'an id of 1 to 128 letters, digits and _ . : -'),
  sequence: integer(1, maxSequence),
  public_ip: orNull(text(64)),
  ports: {
    isRight: mapOf(
      32,
      (name) => portName.test(name),
      (item) => isFields(item) && port.isRight(item['port']) && protocol.isRight(item['protocol']),
    ),
    expected: `at most 32 named ports {port, protocol: ${protocols.join(' or ')}}`,
  },
  pod: orNull(text(253)),
  namespace: orNull(text(63)),
  labels: {
    isRight: mapOf(
      64,
      (name) => name !== '' && isAtMost(name, 317),
      (item) => typeof item === 'string' && isAtMost(item, 256),
    ),
    expected: 'at most 64 labels with texts of at most 256 characters',
  },
  players: orNull(integer(0, 1_000_000)),
  deadline: orNull(instant),
  reason: orNull(text(256)),
  exit_code: orNull(integer(0, 255)),
};

const nodeChecks: Readonly<Record<Exclude<keyof NodeData, 'status'>, Check>> = {
  ...placementChecks,
  interruption_id: text(256),
  kind: word,
  action: word,
  deadline: orNull(instant),
  sequence: integer(1, maxSequence),
};

interface Shape {
  readonly rules: readonly Rule[];
  readonly isNode: boolean;
}

/** The status that an event may carry: a state's event says that state, a heartbeat any that is alive. */
function gameServerShape(statuses: readonly GameServerState[]): Shape {
  // What lives has a lease, because nobody else can tell when it died silently.
  const lease = statuses.every(isEnded) ? orNull(instant) : instant;
  return { isNode: false, rules: rules({ ...gameServerChecks, status: oneOf(statuses), lease_expires_at: lease }) };
}

function isEnded(state: GameServerState): boolean {
  return state === 'terminated' || state === 'lost';
}

const shapes: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ...gameServerStates.map((state) => [`dev.spotable.gameserver.${state}.v1`, gameServerShape([state])] as const),
  ['dev.spotable.gameserver.heartbeat.v1', gameServerShape(gameServerStates.filter((state) => !isEnded(state)))],
  ...nodeStates.map(
    (state) =>
      [
        `dev.spotable.node.${state}.v1`,
        { isNode: true, rules: rules({ ...nodeChecks, status: oneOf([state]) }) },
      ] as const,
  ),
]);

function firstProblem(prefix: string, checks: readonly Rule[], fields: Fields): RefusedText | undefined {
  for (const { field, isRight, expected } of checks)
    if (!isRight(fields[field])) return wrong(`${prefix}${field}`, expected, fields[field]);
  return undefined;
}

function refuseType(type: unknown): RefusedText {
  if (typeof type !== 'string') return wrong('type', 'the type of an inventory event', type);
  const version = /^dev\.spotable\.(?:gameserver|node)\.[a-z-]{1,64}\.v(\d{1,9})$/.exec(type)?.[1];
  if (version !== undefined && version !== '1')
    return refuse('newer-version', `type: expected version 1, found ${shown(type)}`);
  return refuse('unknown-type', `type: expected the type of an inventory event, found ${shown(type)}`);
}

function wrong(where: string, expected: string, found: unknown): RefusedText {
  return refuse(
    'wrong-shape',
    `${where}: expected ${expected}, found ${found === undefined ? 'nothing' : shown(found)}`,
  );
}

function refuse(code: RefusalCode, refused: string): RefusedText {
  return { refused, code };
}

/** As JSON, cut, and without what could garble a terminal or turn the direction of a line. */
function shown(value: unknown): string {
  const json = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : JSON.stringify(value);
  const short = json.length <= 80 ? json : `${json.slice(0, 80)}...`;
  return short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
