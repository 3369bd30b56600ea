import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { type PortRange, type PortRequest, singlePorts } from '../settings/parse-setting.ts';
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
  /** In the order of the requests: players connect to the first one. */
  readonly ports: readonly LeasedPort[];
  release(): Promise<void>;
}

/**
 * Leases every requested port. Throws a FatalError that names the port or the range, and then leaves nothing leased.
 *
 * Take the lease first: only its holder probes the port, and a game may bind it as late as it likes.
 */
export async function leasePorts(options: LeasePortsOptions): Promise<LeasedPorts> {
  const held = new Map<number, PortLease>();
  const release = async () => {
    await Promise.all([...held.values()].map((lease) => lease.release()));
  };
  try {
    const { requests } = options;
    // Take pinned ports first, so that no other request takes them by chance.
    const pinned = new Map<PortRequest, number>();
    for (const request of requests)
      if (request.pinned !== undefined) {
        for (const single of singlePorts(request)) await takePinned(single, options, held);
        pinned.set(request, request.pinned);
      }
    // Take all others at the same time, because the game waits for them. Let each finish before an error releases them
    // all.
    const others = requests.filter((request) => !pinned.has(request));
    const taken = await Promise.allSettled(others.map((request) => takeAny(request, options, held)));
    const ports = requests.flatMap((request): readonly LeasedPort[] => {
      const result = taken[others.indexOf(request)];
      if (result?.status === 'rejected') throw result.reason;
      const first = result?.value ?? pinned.get(request) ?? 0;
      return singlePorts(request).map(({ name, protocol }, index) => ({ name, protocol, port: first + index }));
    });
    return { ports, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Takes the adjacent ports of one request, all or none. Resolves with the first of them. */
async function takeAny(
  { name, count }: PortRequest,
  options: LeasePortsOptions,
  held: Map<number, PortLease>,
): Promise<number> {
  const { range, random } = options;
  const size = range.last - range.first + 1;
  // Start at random, so that wrappers that start together do not queue up behind each other.
  const start = Math.floor(random() * size);
  let leased = 0;
  for (let step = 0; step < size; step++) {
    const first = range.first + ((start + step) % size);
    if (first + count - 1 > range.last) continue;
    const outcome = await takeRun(first, count, options, held);
    if (outcome.kind === 'taken') return first;
    if (outcome.kind === 'leased') leased++;
    // Skip every run that would include the unavailable port.
    step += outcome.index;
  }
  const where = `${range.first}-${range.last}`;
  throw new FatalError(
    count > 1
      ? `Cannot lease ports for ${name}: no ${count} in a row are free in ${where}`
      : `Cannot lease a port for ${name}: all ${size} ports of ${where} are taken (${leased} leased, ${size - leased} in use)`,
    { status: exitStatus.unavailable },
  );
}

type RunOutcome = { readonly kind: 'taken' } | { readonly kind: 'leased' | 'in-use'; readonly index: number };

async function takeRun(
  first: number,
  count: number,
  { leases, probe }: LeasePortsOptions,
  held: Map<number, PortLease>,
): Promise<RunOutcome> {
  const run: PortLease[] = [];
  const giveBack = () => Promise.all(run.map((lease) => lease.release()));
  for (let index = 0; index < count; index++) {
    const port = first + index;
    const lease = held.has(port) ? undefined : await leases.take(port);
    if (lease !== undefined) run.push(lease);
    if (lease !== undefined && (await probe(port, 'udp+tcp')) === 'free') continue;
    await giveBack();
    return { kind: lease === undefined ? 'leased' : 'in-use', index };
  }
  for (const lease of run) held.set(lease.port, lease);
  return { kind: 'taken' };
}

async function takePinned(
  { name, protocol, pinned: port = 0 }: PortRequest,
  options: LeasePortsOptions,
  held: Map<number, PortLease>,
): Promise<void> {
  // UDP and TCP of one number may have two names but share one lease.
  const lease = held.get(port) ?? (await options.leases.take(port));
  if (lease === undefined)
    throw new FatalError(`Cannot lease port ${port} for ${name}: another game server holds it`, {
      status: exitStatus.unavailable,
    });
  held.set(port, lease);
  const found = await options.probe(port, protocol);
  if (found === 'free') return;
  const isForbidden = found === 'forbidden';
  throw new FatalError(
    `Cannot lease port ${port} for ${name}: ${isForbidden ? 'this user may not bind it' : `its ${protocol} is in use`}`,
    { status: isForbidden ? exitStatus.noPermission : exitStatus.unavailable },
  );
}
