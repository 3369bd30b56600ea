import { type Notice, parseInstant } from './interruption.ts';

/** A body that makes no sense is told apart from "nothing announced": it is counted and asked again, never acted upon. */
export type ParsedNotice = { readonly notice: Notice } | { readonly garbage: string };

/** Path of the notice that a spot instance is being taken; 404 until then. */
export const spotNoticePath = '/latest/meta-data/spot/instance-action';

const actions = ['terminate', 'stop', 'hibernate'] as const;

/** Reads the body of {@link spotNoticePath}: `{"action":"terminate","time":"2026-04-24T17:11:44Z"}`. */
export function parseSpotNotice(body: string, instanceId: string): ParsedNotice {
  let document: unknown;
  try {
    // trim() also takes a byte order mark, which is no JSON.
    document = JSON.parse(body.trim());
  } catch {
    return { garbage: `not JSON: ${quote(body)}` };
  }
  if (typeof document !== 'object' || document === null) return { garbage: `not an object: ${quote(body)}` };
  const { action: word, time } = document as { action?: unknown; time?: unknown };
  const action = actions.find((candidate) => candidate === word);
  if (action === undefined) return { garbage: `unknown action ${quote(word)}` };
  const deadlineMs = parseInstant(time);
  if (deadlineMs === undefined) return { garbage: `time is no instant: ${quote(time)}` };
  return { notice: { id: `${instanceId}/spot-termination`, kind: 'spot-termination', action, deadlineMs } };
}

const maxQuote = 120;

function quote(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, maxQuote);
}
