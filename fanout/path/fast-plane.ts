import { formatEndpoint } from '../endpoint.ts';
import { maxReplicas } from '../relay/counters.ts';
import type { Plane } from '../relay/plane.ts';
import { Relay } from '../relay/relay.ts';
import type { Addon } from './addon.ts';
import { type FastPacket, FastPath } from './fast-path.ts';
import { LocalPlane } from './local-plane.ts';
import type { PlaneOptions } from './plane-options.ts';

/** A plane on the addon, listening. Throws where the address cannot be had. */
export function startFastPlane(options: PlaneOptions, addon: Addon): Plane {
  const { limits, counters, onRefused, listen } = options;
  let path: FastPath;
  try {
    path = new FastPath({ ...options, addon, maxReplicas });
  } catch (error) {
    throw new Error(`Cannot listen on udp ${formatEndpoint(listen)}`, { cause: error });
  }
  const relay = new Relay<FastPacket, number, number>({ limits, path, counters, onRefused }, performance.now());
  path.start(relay);
  return new LocalPlane({
    relay,
    counters,
    port: path.port,
    closePath: async () => path.stop(),
    flush: () => path.flush(),
  });
}
