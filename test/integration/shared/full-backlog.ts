import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const listen =
  "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";
const maxConnections = 64;
/** A loopback connect takes well under a millisecond, unless nobody has room for it. */
const connectLimitMs = 300;

/** A port on which every further TCP connect hangs. */
export interface FullBacklog {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * A listener that is stopped (SIGSTOP), so that it accepts nothing, with a backlog that is filled: Linux then drops the
 * SYN of each further connect, and the client waits as it does for an address that nobody answers.
 */
export async function fillBacklog(): Promise<FullBacklog> {
  const listener = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  const sockets: Socket[] = [];
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await end(listener);
  };
  try {
    const [line] = await once(listener.stdout, 'data', { signal: AbortSignal.timeout(10_000) });
    const port = Number(String(line));
    listener.kill('SIGSTOP');
    while (sockets.length < maxConnections) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      sockets.push(socket);
      const hangs = sleep(connectLimitMs, true);
      if (await Promise.race([hangs, once(socket, 'connect').then(() => false)])) return { port, close };
    }
    throw new Error(`Cannot fill the backlog of 127.0.0.1:${port}: ${maxConnections} connections were taken`);
  } catch (error) {
    await close();
    throw error;
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
