import type { Plane } from '../relay/plane.ts';
import { Relay } from '../relay/relay.ts';
import { type DgramHandle, DgramPath, type DgramPeer } from './dgram-path.ts';
import { LocalPlane } from './local-plane.ts';
import type { PlaneOptions } from './plane-options.ts';

/** A plane on node:dgram, listening. Rejects where the address cannot be had. */
export async function startDgramPlane(options: PlaneOptions): Promise<Plane> {
  const { limits, counters, onRefused } = options;
  const path = new DgramPath(options);
  const relay = new Relay<Buffer, DgramPeer, DgramHandle>({ limits, path, counters, onRefused }, performance.now());
  const port = await path.start(relay);
  return new LocalPlane({ relay, counters, port, closePath: () => path.stop(), flush: () => {} });
}
