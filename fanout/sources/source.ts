import type { Upstream } from '../election/upstream.ts';

/**
 * A source of replicas. `run` reports the whole list whenever it may have changed, until the signal aborts. It never
 * rejects for an outside failure: it logs the failure and keeps the last list, because stale replicas are better than
 * none.
 */
export interface UpstreamSource {
  run(report: (upstreams: readonly Upstream[]) => void, signal: AbortSignal): Promise<void>;
}

/** Runs all sources and reports their merged lists without duplicates. Resolves when the signal aborts. */
export async function followSources(
  sources: readonly UpstreamSource[],
  report: (upstreams: readonly Upstream[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const lists: (readonly Upstream[])[] = sources.map(() => []);
  const runs = sources.map((source, index) =>
    source.run((upstreams) => {
      lists[index] = upstreams;
      report([...new Map(lists.flat().map((upstream) => [upstream.id, upstream])).values()]);
    }, signal),
  );
  await Promise.all(runs);
}
