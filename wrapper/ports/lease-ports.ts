import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { PortRange, PortRequest } from '../settings/parse-setting.ts';
import type { LeasedPort, PortLease, PortLeases } from './port-lease.ts';
import type { Probe } from './probe-port.ts';

export interface LeasePortsOptions {
  readonly requests: readonly PortRequest[];
  readonly range: PortRange;
  readonly leases: PortLeases;
  readonly probe: Probe;
  readonly random: () => number;
}

export interface LeasedPorts {
  /** In the order they were asked for: the first one is what players connect to. */
  readonly ports: readonly LeasedPort[];
  release(): Promise<void>;
}

/**
 * Leases every port that is asked for. Throws a FatalError that names the port or the range; nothing stays leased then.
 *
 * The lease comes first: whoever holds it is the only wrapper that probes the port, and a game may bind it as late as it likes.
 */
export async function leasePorts(options: LeasePortsOptions): Promise<LeasedPorts> {
  const held = new Map<number, PortLease>();
  const release = async () => {
    await Promise.all([...held.values()].map((lease) => lease.release()));
  };
  try {
    const { requests } = options;
    // Pinned ones first, so that no other request takes them by chance.
    const pinned = new Map<PortRequest, number>();
    for (const request of requests)
      if (request.pinned !== undefined) pinned.set(request, await takePinned(request, request.pinned, options, held));
    // All others at the same time: the game waits for them. Each is settled before an error gives all of them back.
    const others = requests.filter((request) => !pinned.has(request));
    const taken = await Promise.allSettled(others.map((request) => takeAny(request, options, held)));
    const ports = requests.map((request): LeasedPort => {
      const { name, protocol } = request;
      const result = taken[others.indexOf(request)];
      if (result?.status === 'rejected') throw result.reason;
      return { name, protocol, port: result?.value ?? pinned.get(request) ?? 0 };
    });
    return { ports, release };
  } catch (error) {
    await release();
    throw error;
  }
}

async function takeAny(
  { name }: PortRequest,
  options: LeasePortsOptions,
  held: Map<number, PortLease>,
): Promise<number> {
  const { range, leases, probe, random } = options;
  const size = range.last - range.first + 1;
  // Wrappers that start together should not queue up behind each other.
  const start = Math.floor(random() * size);
  let leased = 0;
  for (let step = 0; step < size; step++) {
    const port = range.first + ((start + step) % size);
    const lease = held.has(port) ? undefined : await leases.take(port);
    if (lease === undefined) {
      leased++;
      continue;
    }
    if ((await probe(port, 'udp+tcp')) === 'free') {
      held.set(port, lease);
      return port;
    }
    await lease.release();
  }
  throw new FatalError(
    `Cannot lease a port for ${name}: all ${size} ports of ${range.first}-${range.last} are taken (${leased} leased, ${size - leased} in use)`,
    { status: exitStatus.unavailable },
  );
}

async function takePinned(
  { name, protocol }: PortRequest,
  port: number,
  options: LeasePortsOptions,
  held: Map<number, PortLease>,
): Promise<number> {
  // UDP and TCP of one number may carry two names: the lease is one.
  const lease = held.get(port) ?? (await options.leases.take(port));
  if (lease === undefined)
    throw new FatalError(`Cannot lease port ${port} for ${name}: another game server holds it`, {
      status: exitStatus.unavailable,
    });
  held.set(port, lease);
  const found = await options.probe(port, protocol);
  if (found === 'free') return port;
  const isForbidden = found === 'forbidden';
  throw new FatalError(
    `Cannot lease port ${port} for ${name}: ${isForbidden ? 'this user may not bind it' : `its ${protocol} is in use`}`,
    { status: isForbidden ? exitStatus.noPermission : exitStatus.unavailable },
  );
}
