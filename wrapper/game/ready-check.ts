import { statSync } from 'node:fs';
import { connect } from 'node:net';
import type { PortProtocol } from '../../shared/inventory/event.ts';
import { tcpPort } from '../config.ts';
import type { ReadyRule } from '../parse-setting.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import { socketInodes } from './process-table.ts';
import { type BoundSocket, readBoundSockets } from './socket-table.ts';

/** undefined: all is well. Otherwise what is missing, for a person to read. */
export type ReadyCheck = () => Promise<string | undefined>;

export interface ReadyCheckOptions {
  readonly ports: readonly LeasedPort[];
  readonly startedAtMs: number;
  readonly now: () => number;
  /** The game's living processes. */
  readonly processes: () => readonly number[];
  /** Resolved once the game has written the line of `log:`. */
  readonly hasLogged: () => boolean;
}

export function readyCheck(rule: ReadyRule, options: ReadyCheckOptions): ReadyCheck {
  const { ports, startedAtMs, now, processes, hasLogged } = options;
  switch (rule.kind) {
    case 'bound': {
      const wanted = wantedPorts(rule.names, ports);
      return async () => missingPort(wanted, processes);
    }
    case 'tcp': {
      const port = tcpPort(ports, rule.name)?.port ?? 0;
      return async () => ((await isAccepting(port)) ? undefined : `nothing accepts on TCP port ${port}`);
    }
    case 'log':
      return async () => (hasLogged() ? undefined : `no output line matches ${rule.pattern.source}`);
    case 'file':
      return async () => (isWrittenSince(rule.path, startedAtMs) ? undefined : `${rule.path} is not there`);
    case 'delay':
      return async () => (now() >= startedAtMs + rule.ms ? undefined : 'still too young');
  }
}

interface WantedPort extends LeasedPort {
  /** Whether each of its protocols is needed, or any one of them. */
  readonly needsAll: boolean;
}

function wantedPorts(names: readonly string[], ports: readonly LeasedPort[]): readonly WantedPort[] {
  if (names.length > 0)
    return ports.filter(({ name }) => names.includes(name)).map((port) => ({ ...port, needsAll: true }));
  return ports.slice(0, 1).map((port) => ({ ...port, needsAll: false }));
}

function missingPort(wanted: readonly WantedPort[], processes: () => readonly number[]): string | undefined {
  const bound = readBoundSockets(new Set(wanted.map(({ port }) => port)));
  let owned: ReadonlySet<number> | 'unknown' | undefined;
  for (const { name, port, protocol, needsAll } of wanted) {
    const isBoundFor = (one: 'udp' | 'tcp') => bound.some((socket) => socket.port === port && socket.protocol === one);
    const protocols = protocolsOf(protocol);
    if (!(needsAll ? protocols.every(isBoundFor) : protocols.some(isBoundFor)))
      return `${name} (${protocol} ${port}) is not bound`;
    owned ??= ownedInodes(processes());
    if (
      isForeign(
        bound.filter((socket) => socket.port === port),
        owned,
      )
    )
      return `${name} (${protocol} ${port}) is bound by another program`;
  }
  return undefined;
}

function protocolsOf(protocol: PortProtocol): readonly ('udp' | 'tcp')[] {
  return protocol === 'udp+tcp' ? ['udp', 'tcp'] : [protocol];
}

/** A game that has changed its user cannot be looked into; the lease alone then says that the port is its own. */
function ownedInodes(pids: readonly number[]): ReadonlySet<number> | 'unknown' {
  const all = new Set<number>();
  for (const pid of pids) {
    const inodes = socketInodes(pid);
    if (inodes === undefined) return 'unknown';
    for (const inode of inodes) all.add(inode);
  }
  return all;
}

function isForeign(sockets: readonly BoundSocket[], owned: ReadonlySet<number> | 'unknown'): boolean {
  return owned !== 'unknown' && !sockets.some(({ inode }) => owned.has(inode));
}

const connectLimitMs = 1000;

async function isAccepting(port: number): Promise<boolean> {
  const answers = await Promise.all(['127.0.0.1', '::1'].map((host) => isAcceptingOn(host, port)));
  return answers.includes(true);
}

function isAcceptingOn(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  socket.setTimeout(connectLimitMs, () => resolve(false));
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** A file of an earlier run, on a volume that outlives the container, says nothing. */
function isWrittenSince(path: string, sinceMs: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  // The kernel stamps files with a clock that lags by up to one tick.
  return found !== undefined && found.ctimeMs >= sinceMs - 10;
}
