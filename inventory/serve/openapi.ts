import { gameServerStates, nodeStates } from '../../shared/events/event.ts';
import eventSchema from '../../shared/events/event-schema.json' with { type: 'json' };
import { matchedFields, maxRows } from './game-server-query.ts';

type Json = Readonly<Record<string, unknown>>;

/** OpenAPI 3.1, whose schemas are JSON Schema: rows reuse the schemas of the events, so the two cannot differ. */
export function openApiDocument(): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Spotable inventory',
      version: '1',
      description: 'The table of game servers, read-only. Read /game-servers, then follow /events from its position.',
    },
    paths,
    components: { schemas: withReferencesHere(schemas) },
  };
}

const { gameServerData, nodeData, instant } = eventSchema.$defs;

const rowFields = {
  last_event_at: { $ref: '#/$defs/instant', description: "When its newest event happened, by the sender's clock." },
  heard_at: { $ref: '#/$defs/instant', description: "When the queue took that event, by the queue's clock." },
};

const schemas: Json = {
  instant,
  GameServer: {
    ...gameServerData,
    description: 'A game server as its events, its lease and its node say it.',
    required: [...gameServerData.required, 'own_status', 'node_status', ...Object.keys(rowFields)],
    properties: {
      ...gameServerData.properties,
      ...rowFields,
      own_status: { enum: gameServerStates, description: 'What its own newest event said.' },
      node_status: { enum: [...nodeStates, null], description: 'What was last heard of its node. null: nothing.' },
    },
  },
  Node: {
    ...nodeData,
    description: 'A node that something was heard of. Nodes without trouble are known by their game servers only.',
    required: [...nodeData.required, 'key', ...Object.keys(rowFields)],
    properties: {
      ...nodeData.properties,
      ...rowFields,
      key: { type: 'string', description: 'The instance, or node/NAME where it is not known.' },
    },
  },
  TimelineEntry: object({
    at: { $ref: '#/$defs/instant' },
    subject: { enum: ['game-server', 'node'] },
    id: { type: 'string' },
    before: { type: ['string', 'null'], description: 'null: it was not known before.' },
    after: { type: 'string' },
    node: { type: ['string', 'null'] },
    reason: { type: ['string', 'null'] },
    deadline: { anyOf: [{ $ref: '#/$defs/instant' }, { type: 'null' }] },
  }),
  SetAside: object({
    at: { $ref: '#/$defs/instant' },
    message_id: { type: 'string' },
    code: { type: 'string', description: 'What is counted.' },
    reason: { type: 'string', description: 'What is wrong with it, for people.' },
    body: { type: 'string', description: 'The first 16384 characters.' },
  }),
  Problem: object({ status: { type: 'integer' }, detail: { type: 'string' } }),
  Position: { type: 'string', description: 'Give it to /events as `after`.' },
};

const text = (name: string, description: string): Json => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string' },
});

const paths: Json = {
  '/game-servers': get('Game servers, in the order of their ids', {
    parameters: [
      text('state', `One or several of ${gameServerStates.join(', ')}, split by commas.`),
      ...matchedFields.map((field) => text(field, 'Only with one of these values, split by commas.')),
      text('label', 'NAME=VALUE. Given several times, all must hold.'),
      text('fields', 'Answer with these fields only, split by commas; game_server_id is always there.'),
      { ...text('limit', 'Rows at most.'), schema: { type: 'integer', minimum: 1, maximum: maxRows } },
      text('after', 'Only ids after this one: the `next` of the page before.'),
    ],
    answer: object({
      game_servers: { type: 'array', items: { $ref: '#/$defs/GameServer' } },
      next: { type: ['string', 'null'] },
      position: { $ref: '#/$defs/Position' },
    }),
    problems: { '400': 'A parameter is wrong' },
  }),
  '/game-servers/{id}': get('One game server', {
    parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
    answer: { $ref: '#/$defs/GameServer' },
    problems: { '404': 'There is none of this id, or none any more' },
  }),
  '/nodes': get('Nodes that something was heard of', {
    answer: object({
      nodes: { type: 'array', items: { $ref: '#/$defs/Node' } },
      position: { $ref: '#/$defs/Position' },
    }),
  }),
  '/timeline': get('What happened last, newest last', {
    answer: object({ entries: { type: 'array', items: { $ref: '#/$defs/TimelineEntry' } } }),
  }),
  '/set-aside': get('Messages that are no events, or contradict one, newest first', {
    answer: object({ messages: { type: 'array', items: { $ref: '#/$defs/SetAside' } } }),
  }),
  '/events': get('Every change, as server-sent events', {
    parameters: [text('after', 'Position of the last change that is known; the header Last-Event-ID says the same.')],
    description:
      'Events: game-server {before, row}, game-server-forgotten {id}, node {row}, node-forgotten {key}, and reset {} where ' +
      'the position is not kept any more: read the table again. The id of each event is its position.',
    type: 'text/event-stream',
    problems: { '503': 'Too many clients' },
  }),
  '/metrics': get('Prometheus metrics', { type: 'text/plain' }),
  '/healthz': get('Answers ok', { type: 'text/plain' }),
  '/openapi.json': get('This document', { answer: { type: 'object' } }),
  '/': get('The page', { type: 'text/html' }),
  '/page/{name}': get('A part of the page', {
    parameters: [{ name: 'name', in: 'path', required: true, schema: { type: 'string' } }],
    type: 'text/javascript',
    problems: { '404': 'There is none of this name' },
  }),
};

interface Described {
  readonly parameters?: readonly Json[];
  readonly description?: string;
  /** Schema of a JSON response. */
  readonly answer?: Json;
  readonly type?: string;
  readonly problems?: Readonly<Record<string, string>>;
}

function get(summary: string, { parameters = [], description, answer, type, problems = {} }: Described): Json {
  const content = { [type ?? 'application/json']: { schema: withReferencesHere(answer ?? { type: 'string' }) } };
  const problemContent = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return {
    get: {
      summary,
      ...(description === undefined ? {} : { description }),
      parameters,
      responses: {
        '200': { description: summary, content },
        ...Object.fromEntries(
          Object.entries(problems).map(([status, text]) => [status, { description: text, content: problemContent }]),
        ),
      },
    },
  };
}

function object(properties: Json): Json {
  return { type: 'object', required: Object.keys(properties), properties };
}

/** The event schema keeps its definitions in `$defs`, OpenAPI in `components`. */
function withReferencesHere(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
}
