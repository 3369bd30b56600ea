import { unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { linkPath } from '../../shared/link/link-address.ts';
import { listen } from '../../shared/listen.ts';
import { errorText } from '../../shared/log.ts';
import { hasCode } from '../../shared/system-error.ts';

/** An agent that is being replaced frees the address within this. */
const maxBindMs = 10_000;
const retryMs = 100;
/** A Unix socket whose queue is full refuses a connect at once: all wrappers of a node come together when an agent starts. */
const backlog = 1024;

/** Listens on the link's address. Rejects with a {@link FatalError} where it cannot be had. */
export async function bindLink(server: Server, address: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const giveUpMs = clock.now() + maxBindMs;
  while (!signal.aborted) {
    const error = await bind(server, address);
    if (error === undefined) return;
    const isBusy = hasCode(error, 'EADDRINUSE');
    if (!isBusy || clock.now() > giveUpMs)
      throw new FatalError(`Cannot listen on link ${address}: ${errorText(error)}`, {
        status: exitStatus.unavailable,
        cause: error,
      });
    // A killed agent leaves the file of its socket behind; the kernel frees an abstract address by itself.
    if (!address.startsWith('@') && !(await isAlive(address))) await unlink(address).catch(() => {});
    else await clock.sleep(retryMs, signal).catch(() => {});
  }
}

/** Why it did not work. */
async function bind(server: Server, address: string): Promise<unknown> {
  // Games run as users of their own: who may reach a socket file is said by its directory, and who may publish by a token.
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
