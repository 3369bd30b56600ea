import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { untilAborted } from '../../shared/until-aborted.ts';
import type { Upstream } from '../election/upstream.ts';
import { type Endpoint, formatEndpoint } from '../endpoint.ts';
import type { UpstreamSource } from './source.ts';

/** The system's resolver cannot be cancelled and takes up to half a minute to give up. */
const maxLookupMs = 5000;

export interface NamedUpstreamsOptions {
  readonly endpoints: readonly Endpoint[];
  /** Interval of name lookups; IP addresses need none. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Resolves a name to all its addresses; defaults to the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

/**
 * Configured replicas: addresses, and DNS names each of whose addresses is a replica (a headless service). A failed
 * lookup keeps a name's last addresses, because a resolver failure says nothing about the game servers.
 */
export function namedUpstreams(options: NamedUpstreamsOptions): UpstreamSource {
  const { endpoints, intervalMs, clock, log, resolve = resolveAll } = options;
  const addresses = new Map<string, readonly string[]>();
  const failing = new Map<string, NewCauses>();
  const refresh = async (host: string, signal: AbortSignal): Promise<void> => {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(maxLookupMs)]);
      addresses.set(host, [...(await untilAborted(resolve(host), limit))].sort());
      if (failing.delete(host)) log.info({ host }, 'Upstream name resolves again');
    } catch (error) {
      if (signal.aborted) return;
      const causes = failing.get(host) ?? new NewCauses();
      failing.set(host, causes);
      const err = errorText(error);
      if (causes.isNew(err)) log.warn({ host, err }, 'Cannot resolve upstream name');
    }
  };
  return {
    run: async (report, signal) => {
      const names = [...new Set(endpoints.map(({ host }) => host).filter((host) => isIP(host) === 0))];
      const tell = () => report(toUpstreams(endpoints, addresses));
      // Addresses are reported at once, and each name without waiting for the others.
      if (endpoints.some(({ host }) => isIP(host) !== 0)) tell();
      while (!signal.aborted && names.length > 0) {
        await Promise.all(names.map((name) => refresh(name, signal).then(() => signal.aborted || tell())));
        await clock.sleep(intervalMs, signal).catch(() => {});
      }
    },
  };
}

function toUpstreams(
  endpoints: readonly Endpoint[],
  addresses: ReadonlyMap<string, readonly string[]>,
): readonly Upstream[] {
  const upstreams = new Map<string, Upstream>();
  for (const { host, port } of endpoints)
    for (const address of isIP(host) === 0 ? (addresses.get(host) ?? []) : [host]) {
      const id = formatEndpoint({ host: address, port });
      upstreams.set(id, { id, address, port, readiness: 'ready', isInSync: undefined, deadlineMs: undefined });
    }
  return [...upstreams.values()];
}

async function resolveAll(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
