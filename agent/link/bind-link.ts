import { unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { linkPath } from '../../shared/link/link-address.ts';
import { listen } from '../../shared/listen.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import { hasCode } from '../../shared/system-error.ts';

/** An agent that is being replaced frees the address within seconds; a process that has taken our name may keep it. */
const backoff: Backoff = { firstMs: 100, maxMs: 1000 };
/** An agent on its way out is no trouble yet. */
const maxQuietMs = 10_000;
/**
 * A Unix socket whose queue is full refuses a connect at once: all wrappers of a node come together when an agent
 * starts.
 */
const backlog = 1024;

/**
 * Listens on the link's address, as soon as it can be had. Without the link an agent still cordons and drains, so
 * whoever holds the address must not end it: the games then learn of the end by their SIGTERM, or by themselves.
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
    // A killed agent leaves the file of its socket behind; the kernel frees an abstract address by itself.
    if (isBusy && !address.startsWith('@') && !(await isAlive(address)) && (await isRemoved(address))) continue;
    const err = errorText(error);
    if ((!isBusy || performance.now() - startMs > maxQuietMs) && causes.isNew(err))
      log.error({ link: address, err }, 'Cannot listen on the link: draining without it');
    retries.failed();
    await retries.wait(signal);
  }
}

/** Why it did not work. */
async function bind(server: Server, address: string): Promise<unknown> {
  // Games run as users of their own: who may reach a socket file is said by its directory, and who may publish by a
  // token.
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
