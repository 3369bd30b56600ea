import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { ClusterState } from '../cluster/cluster-view.ts';
import type { Fleet } from '../cluster/fleet.ts';
import {
  type FleetRow,
  fleetRow,
  fleetRows,
  type SessionRow,
  sessionRows,
  type VersionRow,
  versionRows,
} from './rows.ts';
import { ageText, progressBar, tableLines } from './text.ts';

/** A command's output: for scripts, and for people. */
export interface Shown {
  readonly json: unknown;
  readonly lines: (nowMs: number) => readonly string[];
}

export function showList(state: ClusterState): Shown {
  const rows = fleetRows(state);
  return { json: rows, lines: () => (rows.length === 0 ? ['No fleets found.'] : fleetLines(rows)) };
}

function fleetLines(rows: readonly FleetRow[]): readonly string[] {
  return tableLines(
    ['FLEET', 'READY', 'SESSIONS', 'MAX', 'UP-TO-DATE', 'ROLLOUT', 'IMAGE'],
    rows.map((row) => [
      row.fleet,
      `${row.ready}/${row.warm}`,
      String(row.sessions),
      row.max === null ? '-' : String(row.max),
      String(row.updated),
      row.is_rolled_out ? 'complete' : progressBar(Math.min(row.updated, row.ready), row.warm),
      row.images.join(','),
    ]),
  );
}

/** Throws a FatalError if there is no such fleet. */
export function showFleet(state: ClusterState, name: string): Shown {
  const fleet = fleetNamed(state, name);
  const row = fleetRow(fleet, state);
  const versions = versionRows(fleet, state);
  const sessions = sessionRows(state).filter((session) => session.fleet === name);
  return {
    json: { ...row, scheduling: fleet.scheduling, overflow: fleet.overflow ?? null, versions, sessions_on: sessions },
    lines: (nowMs) => describeLines(fleet, row, versions, sessions, nowMs),
  };
}

function describeLines(
  fleet: Fleet,
  row: FleetRow,
  versions: readonly VersionRow[],
  sessions: readonly SessionRow[],
  nowMs: number,
): readonly string[] {
  const facts: readonly (readonly [string, string])[] = [
    ['Name:', row.fleet],
    ['Namespace:', fleet.namespace],
    ['Strategy:', `${row.strategy}, ${fleet.scheduling} scheduling`],
    ['Warm:', `${row.ready} ready of ${row.warm} wanted`],
    ['Sessions:', `${row.sessions}${row.max === null ? '' : `, at most ${row.max} game servers in all`}`],
    ['Overflow:', fleet.overflow === undefined ? '<none>' : JSON.stringify(fleet.overflow)],
    ['Rollout:', `${progressBar(Math.min(row.updated, row.ready), row.warm)} ${row.rollout}`],
  ];
  const versionLines = tableLines(
    ['VERSION', 'REVISION', 'READY', 'SESSIONS', 'IMAGE'],
    versions.map(({ version, revision, is_current, warm, ready, sessions: some, images }) => [
      `${version}${is_current ? ' (current)' : ''}`,
      revision ?? '-',
      `${ready}/${warm}`,
      String(some),
      images.join(','),
    ]),
  );
  return [
    ...facts.map(([name, value]) => `${name.padEnd(14)}${value}`),
    '',
    ...versionLines,
    ...(sessions.length === 0 ? [] : ['', ...sessionLines(sessions, nowMs)]),
  ];
}

export function showSessions(state: ClusterState): Shown {
  const rows = sessionRows(state);
  return { json: rows, lines: (nowMs) => (rows.length === 0 ? ['No sessions found.'] : sessionLines(rows, nowMs)) };
}

function sessionLines(rows: readonly SessionRow[], nowMs: number): readonly string[] {
  return tableLines(
    ['SESSION', 'FLEET', 'VERSION', 'POD', 'NODE', 'ADDRESS', 'PORTS', 'PLAYERS', 'AGE', 'NOTE'],
    rows.map((row) => [
      row.session,
      row.fleet ?? '-',
      row.version ?? '-',
      row.pod,
      row.node ?? '-',
      row.address,
      Object.entries(row.ports)
        .map(([name, port]) => `${name}=${port}`)
        .join(' ') || '-',
      row.players === null ? '-' : String(row.players),
      row.allocated_at === null ? '-' : ageText(nowMs - Date.parse(row.allocated_at)),
      row.note,
    ]),
  );
}

/** Throws a FatalError that names the existing fleets. */
export function fleetNamed({ fleets }: Pick<ClusterState, 'fleets'>, name: string): Fleet {
  const found = [...fleets.values()].find((fleet) => fleet.name === name);
  if (found !== undefined) return found;
  const names = [...fleets.values()].map((fleet) => fleet.name).join(', ') || 'none';
  throw new FatalError(`No fleet ${name}: there are ${names}`, { status: exitStatus.noInput });
}
