import type { InterruptionAction } from './interruption.ts';
import { parseObject, quote } from './parse-document.ts';
import type { ParsedNotices } from './parsed-notices.ts';
import { readInstant } from './read-instant.ts';

/** Path of the spot notice; 404 while there is none. */
export const spotNoticePath = '/latest/meta-data/spot/instance-action';

const actions = ['terminate', 'stop', 'hibernate'] as const;

/**
 * Parses the body of {@link spotNoticePath}: `{"action":"terminate","time":"2026-04-24T17:11:44Z"}`. Any object with an
 * action or a time is a notice, because EC2 responds 404 while there is none: an unknown action counts as terminate,
 * and an unreadable time leaves the notice without one. HTML, text, lists and objects without either field come from
 * something else.
 */
export function parseSpotNotice(body: string, instanceId: string): ParsedNotices {
  const document = parseObject(body);
  if ('garbage' in document) return document;
  const { action: word, time } = document.fields;
  if (word === undefined && time === undefined) return { garbage: `neither action nor time: ${quote(body)}` };
  const action = readAction(word);
  const deadlineMs = readInstant(time);
  const remarks = [
    ...(action === undefined ? [`unknown action ${quote(word)}: terminate assumed`] : []),
    ...(deadlineMs === undefined ? [`time is no instant: ${quote(time)}: two minutes assumed`] : []),
  ];
  const id = `${instanceId}/spot-termination`;
  return { notices: [{ id, kind: 'spot-termination', action: action ?? 'terminate', deadlineMs }], remarks };
}

function readAction(word: unknown): InterruptionAction | undefined {
  const text = typeof word === 'string' ? word.trim().toLowerCase() : undefined;
  return actions.find((candidate) => candidate === text);
}
