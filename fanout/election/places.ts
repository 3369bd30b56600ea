import { maxReplicas } from '../relay/counters.ts';
import type { Place } from '../relay/session.ts';
import { isSamePlace, type Upstream } from './upstream.ts';

export interface Seat {
  readonly upstream: Upstream;
  readonly place: Place;
}

/**
 * Gives each replica a place that it keeps while it lives. Those beyond `maxReplicas` wait without one (`left`).
 * Pure: returns the new seats.
 */
export function assignPlaces(
  seats: readonly Seat[],
  upstreams: readonly Upstream[],
  nextGeneration: number,
): { readonly seats: readonly Seat[]; readonly left: readonly Upstream[]; readonly nextGeneration: number } {
  const kept: Seat[] = [];
  for (const upstream of upstreams) {
    const seat = seats.find((candidate) => isSamePlace(candidate.upstream, upstream));
    if (seat !== undefined) kept.push({ upstream, place: seat.place });
  }
  const taken = new Set(kept.map(({ place }) => place.place));
  const left: Upstream[] = [];
  let generation = nextGeneration;
  for (const upstream of upstreams) {
    if (kept.some((seat) => seat.upstream === upstream)) continue;
    const free = freePlace(taken);
    if (free === undefined) {
      left.push(upstream);
      continue;
    }
    taken.add(free);
    const { address, port } = upstream;
    kept.push({ upstream, place: { place: free, generation: generation++, returns: 0, address, port } });
  }
  return { seats: kept, left, nextGeneration: generation };
}

function freePlace(taken: ReadonlySet<number>): number | undefined {
  for (let place = 0; place < maxReplicas; place++) if (!taken.has(place)) return place;
  return undefined;
}
