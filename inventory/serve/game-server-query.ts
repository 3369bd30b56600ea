import { type GameServerState, gameServerStates } from '../../shared/events/event.ts';
import type { GameServerRow } from '../fold/rows.ts';

/** A query of the table. An empty list matches everything. */
export interface GameServerQuery {
  readonly states: readonly GameServerState[];
  /** Allowed values by field. */
  readonly equal: ReadonlyMap<MatchedField, readonly string[]>;
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Maximum number of rows. */
  readonly limit: number;
  /** Only IDs after this one, in order. */
  readonly after: string | undefined;
  /** Fields to return; undefined: all. */
  readonly fields: ReadonlySet<string> | undefined;
}

export const matchedFields = ['region', 'zone', 'node', 'instance_id', 'namespace', 'type'] as const;
export type MatchedField = (typeof matchedFields)[number];

export const maxRows = 50_000;

export type ReadQuery = { readonly query: GameServerQuery } | { readonly problem: string };

/** Parses `state=ready&region=eu-west-1&label=map=dust2`. A value may be repeated or separated by commas. */
export function readGameServerQuery(parameters: URLSearchParams): ReadQuery {
  const states: GameServerState[] = [];
  const equal = new Map<MatchedField, string[]>();
  const labels: [string, string][] = [];
  let limit = maxRows;
  let after: string | undefined;
  let fields: Set<string> | undefined;
  for (const [name, value] of parameters) {
    const field = matchedFields.find((known) => known === name);
    if (field !== undefined) equal.set(field, [...(equal.get(field) ?? []), ...value.split(',')]);
    else if (name === 'after') after = value;
    else if (name === 'fields') fields = new Set(['game_server_id', ...(fields ?? []), ...value.split(',')]);
    else if (name === 'label') {
      const equals = value.indexOf('=');
      if (equals < 1) return { problem: `Invalid label ${JSON.stringify(value)}: expected NAME=VALUE` };
      labels.push([value.slice(0, equals), value.slice(equals + 1)]);
    } else if (name === 'limit') {
      limit = /^\d{1,9}$/.test(value) ? Number(value) : 0;
      if (limit < 1 || limit > maxRows)
        return { problem: `Invalid limit ${JSON.stringify(value)}: expected a whole number from 1 to ${maxRows}` };
    } else if (name === 'state') {
      for (const word of value.split(',')) {
        const state = gameServerStates.find((known) => known === word);
        if (state === undefined)
          return { problem: `Invalid state ${JSON.stringify(word)}: expected ${gameServerStates.join(', ')}` };
        states.push(state);
      }
    } else return { problem: `Unknown parameter ${JSON.stringify(name)}: see /openapi.json` };
  }
  return { query: { states, equal, labels, limit, after, fields } };
}

export interface Page {
  readonly rows: readonly Partial<GameServerRow>[];
  /** The `after` of the next page; null at the end. */
  readonly next: string | null;
}

/** The matching rows, ordered by ID, so that pages neither skip nor repeat a row. */
export function selectRows(rows: readonly GameServerRow[], query: GameServerQuery): Page {
  const { limit, after, fields } = query;
  const selected = rows
    .filter((row) => (after === undefined || row.game_server_id > after) && isAskedFor(row, query))
    .sort((one, other) => (one.game_server_id < other.game_server_id ? -1 : 1));
  const page = selected.slice(0, limit);
  const next = selected.length > limit ? (page.at(-1)?.game_server_id ?? null) : null;
  return { rows: fields === undefined ? page : page.map((row) => pick(row, fields)), next };
}

function isAskedFor(row: GameServerRow, { states, equal, labels }: GameServerQuery): boolean {
  if (states.length > 0 && !states.includes(row.status)) return false;
  for (const [field, values] of equal) if (!values.includes(row[field] ?? '')) return false;
  return labels.every(([name, value]) => Object.hasOwn(row.labels, name) && row.labels[name] === value);
}

function pick(row: GameServerRow, fields: ReadonlySet<string>): Partial<GameServerRow> {
  return Object.fromEntries(Object.entries(row).filter(([name]) => fields.has(name)));
}
