import { statSync } from 'node:fs';
import { connect } from 'node:net';
import type { PortProtocol } from '../../shared/events/event.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import { tcpPort } from '../settings/config.ts';
import type { ReadyRule } from '../settings/parse-setting.ts';
import type { PortHolders } from './port-holders.ts';
import { type BoundSocket, readBoundSockets, readListeningHosts } from './socket-table.ts';

/** Resolves with undefined if all is well, otherwise with what is missing, for a person to read. */
export type ReadyCheck = () => Promise<string | undefined>;

export interface ReadyCheckOptions {
  readonly ports: readonly LeasedPort[];
  readonly startedAtMs: number;
  /** The game's age by a monotonic clock. */
  readonly ageMs: () => number;
  readonly holders: Pick<PortHolders, 'isOwn'>;
  /** Whether the game has written the line of `log:`. */
  readonly hasLogged: () => boolean;
  /** Whether the game has called Ready() on the SDK server. */
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
 * Some rules stay fulfilled for good. A game that has held its port by then, or since, has to keep it: a server that
 * has closed its port takes no players, even if its process lives on.
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
  /** Whether every protocol is needed, or any one of them. */
  readonly needsAll: boolean;
}

function wantedPorts(names: readonly string[], ports: readonly LeasedPort[]): readonly WantedPort[] {
  if (names.length > 0)
    return ports.filter(({ name }) => names.includes(name)).map((port) => ({ ...port, needsAll: true }));
  return ports.slice(0, 1).map((port) => ({ ...port, needsAll: false }));
}

/** Checks the ports one by one and returns the first that is missing. */
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

/** Whether the port is bound to loopback addresses only, where no player can reach it. */
export function isOnLoopbackAlone(port: LeasedPort): boolean {
  const sockets = protocolsOf(port.protocol).flatMap((one) => readBoundSockets(one, new Set([port.port])));
  return sockets.length > 0 && sockets.every(({ isLoopback }) => isLoopback);
}

function findBound({ port, protocol, needsAll }: WantedPort): readonly BoundSocket[] | undefined {
  const found: BoundSocket[] = [];
  // Check UDP first: the kernel takes milliseconds to walk its TCP table, however empty, and most games do not need it.
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

/** Try loopback first. A game may listen on one address only, which the kernel's tables name. */
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

/** Ignore a file of an earlier run, on a volume that outlives the container. */
function isWrittenSince(path: string, sinceMs: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  // The kernel's clock for files lags by up to one tick.
  return found !== undefined && found.ctimeMs >= sinceMs - 10;
}
