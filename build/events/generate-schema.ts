import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GameServerData, gameServerStates, type NodeData, nodeStates } from '../../shared/events/event.ts';
import {
  type EventRules,
  envelopeRules,
  eventRules,
  instantSchema,
  type Rule,
  type Schema,
} from '../../shared/events/event-rules.ts';
import { maxEventCharacters } from '../../shared/events/parse-event.ts';

const outFile = join(import.meta.dirname, '../../shared/events/event-schema.json');

type Descriptions<Field extends string> = Readonly<Partial<Record<Field, string>>>;

const envelopeDescriptions: Descriptions<string> = {
  id: 'Unique for each event; the same when an event is sent again.',
  source: '/REGION/INSTANCE-ID of the machine whose clock gave the time.',
  subject: "The game server's ID, or the node's name.",
  time: "When it happened, by the sender's clock.",
};

const placementDescriptions = {
  region: 'AWS region. null: not known.',
  zone: 'Availability zone.',
  node: "The Kubernetes node's name.",
  instance_id: 'The EC2 instance.',
  lifecycle: 'spot or on-demand, as EC2 reports it; other words may follow.',
};

const gameServerDescriptions: Descriptions<keyof GameServerData> = {
  ...placementDescriptions,
  public_hostname: 'The host that players connect to: a DNS name, or an address if there is none.',
  public_port: 'The first port, which players connect to.',
  status: 'The state of the game server.',
  type: 'The kind of game server, in the words of the studio.',
  game_server_id: 'One run of one game server: a restarted one has a new ID.',
  sequence: 'Counts the events of this game server from 1: the highest one is current.',
  lease_expires_at: 'Without another event by then the game server is lost. null: it has ended and needs no lease.',
  ports: 'Every leased port by its name.',
  players: 'Number of players on it. null: not known.',
  deadline: 'Latest time at which it will be gone. null: not known.',
  reason:
    'Why it ends: an interruption kind, sigterm, game-exited, ...; other words may follow. null: it is not ending.',
  exit_code: "The game's exit status, 128+n after signal n. null: it has not ended.",
};

const nodeDescriptions: Descriptions<keyof NodeData> = {
  ...placementDescriptions,
  status:
    'at-risk: AWS may take the instance. interrupted: AWS will, by the deadline. recovered: neither any more. drained: the agent has nothing left to do.',
  interruption_id: 'The same in every event of one interruption.',
  kind: 'spot-termination, rebalance, maintenance, asg-termination or rehearsal; other words may follow.',
  action: 'terminate, stop, hibernate, reboot or none; other words may follow.',
  deadline: 'When the instance is taken. null: no time is known.',
  sequence: "Counts the node events of one agent's life; with time it orders them.",
};

/** The JSON Schema of every event that the parser accepts, made from the parser's own rules. */
export function eventSchema(): Schema {
  const types = [...eventRules.keys()];
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:spotable:inventory-event:v1',
    title: 'Spotable inventory event',
    description: `One SQS message is one CloudEvents 1.0 event in JSON. Ignore fields that are not named here: more may follow. A whole event has at most ${maxEventCharacters} characters.`,
    type: 'object',
    required: [...envelopeRules.map(({ field }) => field), 'type', 'data'],
    properties: { ...properties(envelopeRules, envelopeDescriptions), type: { enum: types }, data: { type: 'object' } },
    oneOf: types.map((type) => ({ $ref: `#/$defs/${type}` })),
    $defs: {
      instant: { ...instantSchema, description: 'RFC 3339.' },
      gameServerData: dataSchema(rulesOf('dev.spotable.gameserver.lost.v1'), gameServerDescriptions, gameServerStates),
      nodeData: {
        ...dataSchema(rulesOf('dev.spotable.node.drained.v1'), nodeDescriptions, nodeStates),
        anyOf: ['node', 'instance_id'].map((field) => ({ properties: { [field]: { type: 'string' } } })),
      },
      ...Object.fromEntries([...eventRules].map(([type, rules]) => [type, typeSchema(type, rules)])),
    },
  };
}

function rulesOf(type: string): EventRules {
  const rules = eventRules.get(type);
  if (rules === undefined) throw new Error(`No rules for events of type ${type}`);
  return rules;
}

function dataSchema({ data }: EventRules, descriptions: Descriptions<string>, states: readonly string[]): Schema {
  const status = { description: descriptions['status'], enum: states };
  return {
    type: 'object',
    required: data.map(({ field }) => field),
    properties: { ...properties(data, descriptions), status },
  };
}

/** The type's own narrowing of the shared data: its status, and whether it needs a lease. */
function typeSchema(type: string, { isNode, data }: EventRules): Schema {
  const own = data.filter(({ field }) => field === 'status' || field === 'lease_expires_at');
  const $ref = isNode ? '#/$defs/nodeData' : '#/$defs/gameServerData';
  return { properties: { type: { const: type }, data: { $ref, properties: properties(own, {}) } } };
}

function properties(rules: readonly Rule[], descriptions: Descriptions<string>): Schema {
  return Object.fromEntries(
    rules.map(({ field, schema }) => {
      const description = descriptions[field];
      return [field, description === undefined ? schema : { description, ...schema }];
    }),
  );
}

// Usage: node build/events/generate-schema.ts
if (import.meta.main) {
  writeFileSync(outFile, JSON.stringify(eventSchema()));
  execFileSync('biome', ['format', '--write', outFile], { stdio: 'inherit' });
}
