import { statSync } from 'node:fs';
import { connect } from 'node:net';
import type { PortProtocol } from '../../shared/events/event.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import { tcpPort } from '../settings/config.ts';
import type { ReadyRule } from '../settings/parse-setting.ts';
import { socketInodes } from './process-table.ts';
import { type BoundSocket, readBoundSockets, readListeningHosts } from './socket-table.ts';

/** undefined: all is well. Otherwise what is missing, for a person to read. */
export type ReadyCheck = () => Promise<string | undefined>;

export interface ReadyCheckOptions {
  readonly ports: readonly LeasedPort[];
  readonly startedAtMs: number;
  /** How long the game has been running, by a clock that nobody sets. */
  readonly ageMs: () => number;
  /** The game's living processes. */
  readonly processes: () => readonly number[];
  /** Resolved once the game has written the line of `log:`. */
  readonly hasLogged: () => boolean;
  /** The game has said Ready() to the SDK server. */
  readonly hasSaidReady: () => boolean;
}

export function readyCheck(rule: ReadyRule, options: ReadyCheckOptions): ReadyCheck {
  const { ports, startedAtMs, ageMs, processes, hasLogged, hasSaidReady } = options;
  switch (rule.kind) {
    case 'bound':
      return boundCheck(wantedPorts(rule.names, ports), processes);
    case 'tcp': {
      const port = tcpPort(ports, rule.name)?.port ?? 0;
      return async () => ((await isAccepting(port)) ? undefined : `nothing accepts on TCP port ${port}`);
    }
    case 'log':
      return async () => (hasLogged() ? undefined : `no output line matches ${rule.pattern.source}`);
    case 'file':
      return async () => (isWrittenSince(rule.path, startedAtMs) ? undefined : `${rule.path} is not there`);
    case 'delay':
      return async () => (ageMs() >= rule.ms ? undefined : 'still too young');
    case 'sdk':
      return async () => (hasSaidReady() ? undefined : 'the game has not said Ready()');
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

/** Looks at the ports one by one; the first that is missing is the answer. */
function boundCheck(wanted: readonly WantedPort[], processes: () => readonly number[]): ReadyCheck {
  const isOwn = new Map(wanted.map(({ port }) => [port, ownershipCheck(processes)]));
  return async () => {
    for (const port of wanted) {
      const name = `${port.name} (${port.protocol} ${port.port})`;
      const sockets = findBound(port);
      if (sockets === undefined) return `${name} is not bound`;
      if (isOwn.get(port.port)?.(sockets) === false) return `${name} is bound by another program`;
    }
    return undefined;
  };
}

function findBound({ port, protocol, needsAll }: WantedPort): readonly BoundSocket[] | undefined {
  const found: BoundSocket[] = [];
  // UDP first: the kernel takes milliseconds to walk its TCP table, however empty, and most games need no look at it.
  for (const one of protocolsOf(protocol)) {
    const sockets = readBoundSockets(one, new Set([port]));
    if (sockets.length === 0 && needsAll) return undefined;
    found.push(...sockets);
    if (sockets.length > 0 && !needsAll) break;
  }
  return found.length === 0 ? undefined : found;
}

function protocolsOf(protocol: PortProtocol): readonly ('udp' | 'tcp')[] {
  return protocol === 'udp+tcp' ? ['udp', 'tcp'] : [protocol];
}

/** Asks whether one of the sockets is the game's. Whoever had it last is asked first: looking through all of /proc costs milliseconds. */
function ownershipCheck(processes: () => readonly number[]): (sockets: readonly BoundSocket[]) => boolean {
  let owners: readonly number[] = [];
  return (sockets) => {
    if (owners.some((pid) => hasOneOf(pid, sockets) === true)) return true;
    const answers = processes().map((pid) => ({ pid, has: hasOneOf(pid, sockets) }));
    owners = answers.filter(({ has }) => has === true).map(({ pid }) => pid);
    // A game that has changed its user cannot be looked into; the lease alone then says that the port is its own.
    return owners.length > 0 || answers.some(({ has }) => has === undefined);
  };
}

function hasOneOf(pid: number, sockets: readonly BoundSocket[]): boolean | undefined {
  const inodes = socketInodes(pid);
  return inodes === undefined ? undefined : sockets.some(({ inode }) => inodes.has(inode));
}

const connectLimitMs = 1000;

/** Loopback first; a game may listen on one address only, which the kernel's tables name. */
async function isAccepting(port: number): Promise<boolean> {
  const isOnLoopback = await isAcceptingOnAny(['127.0.0.1', '::1'], port);
  return isOnLoopback || isAcceptingOnAny(readListeningHosts(port), port);
}

async function isAcceptingOnAny(hosts: readonly string[], port: number): Promise<boolean> {
  const answers = await Promise.all(hosts.map((host) => isAcceptingOn(host, port)));
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
