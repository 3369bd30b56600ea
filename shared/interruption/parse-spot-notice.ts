import type { InterruptionAction } from './interruption.ts';
import { parseObject, quote } from './parse-document.ts';
import type { ParsedNotices } from './parsed-notices.ts';
import { readInstant } from './read-instant.ts';

/** Path of the notice that a spot instance is being taken; 404 until then. */
export const spotNoticePath = '/latest/meta-data/spot/instance-action';

const actions = ['terminate', 'stop', 'hibernate'] as const;

/**
 * Reads the body of {@link spotNoticePath}: `{"action":"terminate","time":"2026-04-24T17:11:44Z"}`. An object that names an action or a time is a
 * notice, because EC2 answers 404 while there is none: an action that is new counts as terminate, and a time that cannot be read leaves the
 * notice without an instant. HTML, text, lists and objects without either field come from something else.
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
