import { statSync } from 'node:fs';
import { connect } from 'node:net';
import type { PortProtocol } from '../../shared/events/event.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import { tcpPort } from '../settings/config.ts';
import type { ReadyRule } from '../settings/parse-setting.ts';
import type { PortHolders } from './port-holders.ts';
import { type BoundSocket, readBoundSockets, readListeningHosts } from './socket-table.ts';

/** undefined: all is well. Otherwise what is missing, for a person to read. */
export type ReadyCheck = () => Promise<string | undefined>;

export interface ReadyCheckOptions {
  readonly ports: readonly LeasedPort[];
  readonly startedAtMs: number;
  /** How long the game has been running, by a clock that nobody sets. */
  readonly ageMs: () => number;
  readonly holders: Pick<PortHolders, 'isOwn'>;
  /** Resolved once the game has written the line of `log:`. */
  readonly hasLogged: () => boolean;
  /** The game has said Ready() to the SDK server. */
  readonly hasSaidReady: () => boolean;
}

export function readyCheck(rule: ReadyRule, options: ReadyCheckOptions): ReadyCheck {
  const { ports, startedAtMs, ageMs, holders, hasLogged, hasSaidReady } = options;
  const andKeepsPort = (check: () => string | undefined) =>
    keepingPort(check, boundCheck(wantedPorts([], ports), holders));
  switch (rule.kind) {
    case 'bound':
      return boundCheck(wantedPorts(rule.names, ports), holders);
    case 'tcp': {
      const port = tcpPort(ports, rule.name)?.port ?? 0;
      return async () => ((await isAccepting(port)) ? undefined : `nothing accepts on TCP port ${port}`);
    }
    case 'log':
      return andKeepsPort(() => (hasLogged() ? undefined : `no output line matches ${rule.pattern.source}`));
    case 'file':
      return andKeepsPort(() => (isWrittenSince(rule.path, startedAtMs) ? undefined : `${rule.path} is not there`));
    case 'delay':
      return andKeepsPort(() => (ageMs() >= rule.ms ? undefined : 'still too young'));
    case 'sdk':
      return andKeepsPort(() => (hasSaidReady() ? undefined : 'the game has not said Ready()'));
  }
}

/**
 * Some rules hold for good once they do. A game that has had its port then, or since, has to keep it: a server that has
 * closed it takes no players, whatever else lives on in its process.
 */
function keepingPort(check: () => string | undefined, boundCheck: ReadyCheck): ReadyCheck {
  let hasBeenBound = false;
  return async () => {
    const missing = check();
    if (missing !== undefined) return missing;
    const problem = await boundCheck();
    hasBeenBound ||= problem === undefined;
    return hasBeenBound ? problem : undefined;
  };
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
function boundCheck(wanted: readonly WantedPort[], holders: Pick<PortHolders, 'isOwn'>): ReadyCheck {
  return async () => {
    for (const port of wanted) {
      const name = `${port.name} (${port.protocol} ${port.port})`;
      const sockets = findBound(port);
      if (sockets === undefined) return `${name} is not bound`;
      if (holders.isOwn(sockets) === false) return `${name} is bound by another program`;
    }
    return undefined;
  };
}

/** Whether the port is bound, and on addresses of this machine alone: nobody else can come. */
export function isOnLoopbackAlone(port: LeasedPort): boolean {
  const sockets = protocolsOf(port.protocol).flatMap((one) => readBoundSockets(one, new Set([port.port])));
  return sockets.length > 0 && sockets.every(({ isLoopback }) => isLoopback);
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
