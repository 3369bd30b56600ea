import { unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { linkPath } from '../../shared/link/link-address.ts';
import { listen } from '../../shared/listen.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import { hasCode } from '../../shared/system-error.ts';

/** An agent that is being replaced frees the address within seconds. Another process may hold it longer. */
const backoff: Backoff = { firstMs: 100, maxMs: 1000 };
/** Until then the holder may be an agent that is shutting down, which is no error. */
const maxQuietMs = 10_000;
/**
 * A Unix socket refuses connections when its queue is full, and all wrappers of a node connect at once when an agent
 * starts.
 */
const backlog = 1024;

/**
 * Listens on the link's address as soon as it is free. A busy address must not end the agent, which cordons and drains
 * without the link too: games then learn of the interruption from their SIGTERM, or from their own wrapper.
 */
export async function bindLink(
  server: Server,
  address: string,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const causes = new NewCauses();
  const startMs = performance.now();
  const retries = new RetryPause({ backoff, clock });
  while (!signal.aborted) {
    const error = await bind(server, address);
    if (error === undefined) return;
    const isBusy = hasCode(error, 'EADDRINUSE');
    // A killed agent leaves its socket file behind. The kernel frees an abstract address by itself.
    if (isBusy && !address.startsWith('@') && !(await isAlive(address)) && (await isRemoved(address))) continue;
    const err = errorText(error);
    if ((!isBusy || performance.now() - startMs > maxQuietMs) && causes.isNew(err))
      log.error({ link: address, err }, 'Cannot listen on the link: draining without it');
    retries.failed();
    await retries.wait(signal);
  }
}

/** Returns the error if it failed. */
async function bind(server: Server, address: string): Promise<unknown> {
  // Games run as other users. The directory restricts access to the socket file, and tokens restrict publishing.
  const isForAll = !address.startsWith('@');
  const options = { path: linkPath(address), backlog, ...(isForAll && { readableAll: true, writableAll: true }) };
  return listen(server, options).then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function isAlive(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  socket.once('connect', () => resolve(true));
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  const isListening = await promise;
  socket.destroy();
  return isListening;
}

function isRemoved(path: string): Promise<boolean> {
  return unlink(path).then(
    () => true,
    () => false,
  );
}
