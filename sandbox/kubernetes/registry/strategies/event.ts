import type { KubeObject } from '../../objects.ts';
import { type Cause, invalidValue, required } from '../../status-errors.ts';
import type { Strategy } from '../resource.ts';

export interface Event extends KubeObject {
  involvedObject?: { namespace?: string };
  eventTime?: string | null;
  reason?: string;
  action?: string;
  message?: string;
  reportingComponent?: string;
  reportingInstance?: string;
}

export const eventStrategy: Strategy<Event> = {
  validate: (event) => [...validateNamespace(event), ...(event.eventTime ? validateModern(event) : [])],
};

const maxMessageLength = 1024;

/** An Event with an eventTime is of the new style, which requires more fields. */
function validateModern(event: Event): Cause[] {
  return [
    ...validateController(event.reportingComponent ?? '', 'reportingComponent'),
    ...(['reportingInstance', 'action', 'reason'] as const)
      .filter((field) => !event[field])
      .map((field) => required(field)),
    ...((event.message ?? '').length > maxMessageLength
      ? [invalidValue('message', '""', `can have at most ${maxMessageLength} characters`)]
      : []),
  ];
}

/** Objects without a namespace, such as a Node, are reported in `default`. */
function validateNamespace({ metadata, involvedObject }: Event): Cause[] {
  const about = involvedObject?.namespace ?? '';
  if (about === metadata.namespace || (about === '' && metadata.namespace === 'default')) return [];
  return [invalidValue('involvedObject.namespace', `"${about}"`, 'does not match event.namespace')];
}

const qualifiedName = /^([^/]+\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const qualifiedNameRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

function validateController(name: string, field: string): Cause[] {
  return [
    ...(name === '' ? [required(field), invalidValue(field, '""', 'name part must be non-empty')] : []),
    ...(qualifiedName.test(name) ? [] : [invalidValue(field, JSON.stringify(name), qualifiedNameRule)]),
  ];
}
