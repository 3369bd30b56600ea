import type { InventoryEvent } from './event.ts';
import { envelopeRules, eventRules, type Fields, isFields, type Rule } from './event-rules.ts';

/**
 * Why a text was refused. `too-long` and `not-json`: it was not examined. `newer-version` and `unknown-type`: a newer
 * sender may be right. `wrong-shape`: the sender made a mistake.
 */
export const refusalCodes = ['too-long', 'not-json', 'unknown-type', 'newer-version', 'wrong-shape'] as const;
export type RefusalCode = (typeof refusalCodes)[number];

export interface RefusedText {
  /** One line of at most a few hundred characters: the field, what was expected, what was found. */
  readonly refused: string;
  readonly code: RefusalCode;
}

export type ParsedEvent = { readonly event: InventoryEvent } | RefusedText;

/**
 * Our events have 1 to 4 KiB. The limit is far below the queue's 1 MiB, so that a hostile sender cannot make every
 * consumer hold megabytes, and equal to the maximum line length of the link.
 */
export const maxEventCharacters = 65_536;

/**
 * Parses the body of one message. Accepts exactly what `event-schema.json` accepts, which is generated from the same
 * rules.
 */
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

/** The same for a parsed value. The returned event is `value` itself, with its unknown fields. */
export function checkInventoryEvent(value: unknown): ParsedEvent {
  if (!isFields(value)) return wrong('event', 'a JSON object', value);
  const rules = typeof value['type'] === 'string' ? eventRules.get(value['type']) : undefined;
  if (rules === undefined) return refuseType(value['type']);
  const problem = firstProblem('', envelopeRules, value);
  if (problem !== undefined) return problem;
  const data = value['data'];
  if (!isFields(data)) return wrong('data', 'a JSON object', data);
  const dataProblem = firstProblem('data.', rules.data, data);
  if (dataProblem !== undefined) return dataProblem;
  if (rules.isNode && data['node'] === null && data['instance_id'] === null)
    return refuse('wrong-shape', 'data: expected a node or an instance_id, found neither');
  // The rules have checked every field, which the compiler cannot see.
  return { event: value as unknown as InventoryEvent };
}

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

/** As shortened JSON, without characters that could garble a terminal or reverse the direction of a line. */
function shown(value: unknown): string {
  const json = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : JSON.stringify(value);
  const short = json.length <= 80 ? json : `${json.slice(0, 80)}...`;
  return short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
