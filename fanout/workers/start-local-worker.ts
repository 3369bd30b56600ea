import { existsSync } from 'node:fs';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { Log } from '../../shared/log.ts';
import { formatEndpoint } from '../endpoint.ts';
import { maxReplicas } from '../relay/counters.ts';
import { Relay } from '../relay/relay.ts';
import { type Addon, loadAddon } from '../transport/addon.ts';
import { type DgramHandle, type DgramPeer, DgramTransport } from '../transport/dgram-transport.ts';
import { type NativePacket, NativeTransport } from '../transport/native-transport.ts';
import { LocalWorker } from './local-worker.ts';
import type { RelayWorker } from './relay-worker.ts';
import type { WorkerOptions } from './worker-options.ts';

export interface TransportChoice {
  readonly transport: 'auto' | 'native' | 'dgram';
  /** Candidate files of the native addon; the first that exists is loaded. */
  readonly addonFiles: readonly string[];
}

/**
 * Starts a worker in this thread on the fastest transport available. Rejects with a FatalError if `native` is required
 * and cannot be loaded, and with an Error if the port cannot be bound.
 */
export async function startLocalWorker(
  options: WorkerOptions,
  { transport, addonFiles }: TransportChoice,
  log: Log,
): Promise<RelayWorker> {
  if (transport === 'dgram') return startDgramWorker(options);
  const file = addonFiles.find((candidate) => existsSync(candidate));
  const loaded = file === undefined ? { reason: `no such file: ${addonFiles.join(', ')}` } : loadAddon(file);
  if ('addon' in loaded) {
    log.info({ file }, 'Native transport loaded');
    return startNativeWorker(options, loaded.addon);
  }
  if (transport === 'native')
    throw new FatalError(`Cannot load the native transport: ${loaded.reason}`, { status: exitStatus.unavailable });
  log.info({ reason: loaded.reason }, 'Native transport unavailable, using node:dgram');
  return startDgramWorker(options);
}

async function startDgramWorker(options: WorkerOptions): Promise<RelayWorker> {
  const { limits, counters, onRefused } = options;
  const transport = new DgramTransport(options);
  const relay = new Relay<Buffer, DgramPeer, DgramHandle>(
    { limits, transport, counters, onRefused },
    performance.now(),
  );
  const port = await transport.start(relay);
  return new LocalWorker({ relay, counters, port, closeTransport: () => transport.stop(), flush: () => {} });
}

function startNativeWorker(options: WorkerOptions, addon: Addon): RelayWorker {
  const { limits, counters, onRefused, listen } = options;
  let transport: NativeTransport;
  try {
    transport = new NativeTransport({ ...options, addon, maxReplicas });
  } catch (error) {
    throw new Error(`Cannot listen on udp ${formatEndpoint(listen)}`, { cause: error });
  }
  const relay = new Relay<NativePacket, number, number>({ limits, transport, counters, onRefused }, performance.now());
  transport.start(relay);
  return new LocalWorker({
    relay,
    counters,
    port: transport.port,
    closeTransport: async () => transport.stop(),
    flush: () => transport.flush(),
  });
}
