import type { Upstream } from '../election/upstream.ts';

/**
 * Where the replicas come from. `run` reports the whole list each time it may have changed, until the signal aborts; it never
 * rejects for a fault of the outside, because the replicas known so far are better than none: it says so and goes on.
 */
export interface UpstreamSource {
  run(report: (upstreams: readonly Upstream[]) => void, signal: AbortSignal): Promise<void>;
}

/** Runs all sources and reports their lists as one, without repeats. Resolves when the signal aborts. */
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
