import { existsSync } from 'node:fs';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { Log } from '../../shared/log.ts';
import type { Plane } from '../relay/plane.ts';
import { loadAddon } from './addon.ts';
import { startDgramPlane } from './dgram-plane.ts';
import { startFastPlane } from './fast-plane.ts';
import type { PlaneOptions } from './plane-options.ts';

export interface PathChoice {
  readonly path: 'auto' | 'fast' | 'dgram';
  /** Files that may hold the fast path; the first that exists counts. */
  readonly addonFiles: readonly string[];
}

/** Starts a plane on the best sockets there are. Rejects with a FatalError where `fast` is demanded and cannot be had. */
export async function startPlane(options: PlaneOptions, { path, addonFiles }: PathChoice, log: Log): Promise<Plane> {
  if (path === 'dgram') return startDgramPlane(options);
  const file = addonFiles.find((candidate) => existsSync(candidate));
  const loaded = file === undefined ? { reason: `no such file: ${addonFiles.join(', ')}` } : loadAddon(file);
  if ('addon' in loaded) {
    log.info({ file }, 'Fast path loaded');
    return startFastPlane(options, loaded.addon);
  }
  if (path === 'fast')
    throw new FatalError(`Cannot load the fast path: ${loaded.reason}`, { status: exitStatus.unavailable });
  log.info({ reason: loaded.reason }, 'No fast path: serving over node:dgram');
  return startDgramPlane(options);
}
