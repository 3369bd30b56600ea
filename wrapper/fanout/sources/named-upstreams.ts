import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '../../../shared/clock.ts';
import { errorText, type Log } from '../../../shared/log.ts';
import type { Upstream } from '../election/upstream.ts';
import { type Endpoint, formatEndpoint } from '../endpoint.ts';
import type { UpstreamSource } from './source.ts';

export interface NamedUpstreamsOptions {
  readonly endpoints: readonly Endpoint[];
  /** How often names are looked up again. Addresses never are. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** All addresses of a name; the system's resolver unless given. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

/**
 * Replicas given by hand: addresses, and DNS names of which every address is a replica (a headless service). A name that
 * cannot be looked up keeps the addresses it had, because a failing resolver is no news of the game servers.
 */
export function namedUpstreams(options: NamedUpstreamsOptions): UpstreamSource {
  const { endpoints, intervalMs, clock, log, resolve = resolveAll } = options;
  const addresses = new Map<string, readonly string[]>();
  const failing = new Set<string>();
  const refresh = async (name: string): Promise<void> => {
    try {
      addresses.set(name, [...(await resolve(name))].sort());
      if (failing.delete(name)) log.info({ name }, 'Upstream name resolves again');
    } catch (error) {
      if (!failing.has(name)) log.warn({ name, err: errorText(error) }, 'Cannot resolve upstream name');
      failing.add(name);
    }
  };
  return {
    run: async (report, signal) => {
      const names = [...new Set(endpoints.map(({ host }) => host).filter((host) => isIP(host) === 0))];
      while (!signal.aborted) {
        await Promise.all(names.map(refresh));
        if (signal.aborted) return;
        report(toUpstreams(endpoints, addresses));
        if (names.length === 0) return;
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
