import type { KubeObject } from '../../objects.ts';
import type { JsonMap } from '../../patch/merge-patch.ts';
import { type Cause, invalidValue, required } from '../../status-errors.ts';
import { validateGenerateName } from '../metadata.ts';
import type { Strategy } from '../resource.ts';

/** The stored form is that of core/v1; events.k8s.io/v1 is another view of the same objects. */
export interface Event extends KubeObject {
  involvedObject?: { namespace?: string };
  eventTime?: string | null;
  type?: string;
  reason?: string;
  action?: string;
  message?: string;
  reportingComponent?: string;
  reportingInstance?: string;
}

const coreToNewNames: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
];

function renamed(json: JsonMap, names: readonly (readonly [string, string])[]): JsonMap {
  const newNames = new Map(names);
  return Object.fromEntries(Object.entries(json).map(([field, value]) => [newNames.get(field) ?? field, value]));
}

export function eventToCore(json: JsonMap): JsonMap {
  const core = renamed(
    json,
    coreToNewNames.map(([core, current]) => [current, core] as const),
  );
  return { reportingComponent: '', reportingInstance: '', ...core, apiVersion: 'v1' };
}

export function eventFromCore(json: JsonMap): JsonMap {
  const current = renamed(json, coreToNewNames);
  const shown = Object.entries(current).filter(([field, value]) => value !== '' || !field.startsWith('reporting'));
  return { ...Object.fromEntries(shown), apiVersion: 'events.k8s.io/v1' };
}

export const coreEventStrategy: Strategy<Event> = {
  validate: (event) => validateBoth(event, 'reportingComponent'),
};

export const newEventStrategy: Strategy<Event> = {
  validate: (event) => [
    ...validateBoth(event, 'reportingController'),
    ...(event.metadata.generateName === undefined ? [] : validateGenerateName(event.metadata.generateName)),
    ...(event.eventTime ? [] : [required('eventTime')]),
    ...(event.type === 'Normal' || event.type === 'Warning'
      ? []
      : [invalidValue('type', '""', `has invalid value: ${event.type ?? ''}`)]),
  ],
};

const maxMessageLength = 1024;

/** An Event with an eventTime is of the new style, whichever version it is sent in, and must say more. */
function validateBoth(event: Event, controllerField: string): Cause[] {
  return [
    ...validateNamespace(event),
    ...(event.eventTime
      ? [
          ...validateController(event.reportingComponent ?? '', controllerField),
          ...(['reportingInstance', 'action', 'reason'] as const)
            .filter((field) => !event[field])
            .map((field) => required(field)),
          ...((event.message ?? '').length > maxMessageLength
            ? [invalidValue('message', '""', `can have at most ${maxMessageLength} characters`)]
            : []),
        ]
      : []),
  ];
}

/** What has no namespace, such as a Node, is reported in `default`. */
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
