import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeWrapperLine } from '../shared/link/decode-line.ts';
import { LineDecoder } from '../shared/link/line-decoder.ts';
import { encodeLine } from '../shared/link/link-message.ts';

const lifeMs = 60_000;
const mostLives = 6;
/** From ready to SIGTERM, so that all that follows from the one is over before the other comes. */
const playMs = 500;

/**
 * Runs the bundled wrapper through a short life as one that is linked to an agent, and writes the bytecode of all that it has called to
 * `code`. A busy machine may change what that is, so what two lives agree on is kept, and two builds are equal. Where none do, the last
 * one is kept, which works as well. Resolves with its size in bytes; rejects with what the wrapper said where it fails.
 */
export async function keepCode(program: string, code: string): Promise<number> {
  const seen: Buffer[] = [];
  for (let lives = 0; lives < mostLives; lives++) {
    await live(program, code);
    const kept = await readFile(code);
    if (seen.some((other) => other.equals(kept))) break;
    seen.push(kept);
  }
  return (await stat(code)).size;
}

async function live(program: string, code: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spotable-keep-code-'));
  const [link, ready, over] = [join(folder, 'link'), join(folder, 'ready'), join(folder, 'over')];
  const quiet = ['--metadata-endpoint', 'none', '--liveness', 'none', '--ready', `file:${ready}`];
  const flags = ['--link', link, '--state-dir', folder, ...quiet];
  const game = ['/bin/sh', '-c', `trap : TERM; until [ -e ${over} ]; do sleep 0.05; done`];
  // V8 orders its tables by a seed.
  const args = ['--random-seed=1', join(import.meta.dirname, 'run-and-keep-code.ts'), program, code];
  let wrapper: ChildProcess | undefined;
  const agent = await playAgent(link, {
    starting: () => writeFileSync(ready, ''),
    ready: () => setTimeout(() => wrapper?.kill('SIGTERM'), playMs),
    terminating: () => writeFileSync(over, ''),
  });
  try {
    const child = spawn(process.execPath, [...args, ...flags, '--', ...game], {
      env: { TMPDIR: folder, POD_NAME: 'game' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: lifeMs,
    });
    wrapper = child;
    const said: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    await once(child, 'close');
    if (child.exitCode !== 0)
      throw new Error(`Cannot keep the code of ${program}: exit ${child.exitCode}\n${Buffer.concat(said).toString()}`);
  } finally {
    agent.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const welcome = { type: 'welcome', version: 1, node: 'node' } as const;

/** States that an event waits for: the first one until the game is ready, the third until it has ended. */
const isAwaited = (state: string): boolean => state === 'ready' || state === 'terminated';

/** Takes every event, in the same order in every life, and does what brings on the next: `after` the events of a state. */
async function playAgent(path: string, after: Readonly<Partial<Record<string, () => void>>>): Promise<Server> {
  const server = createServer((socket) => {
    const taken: string[] = [];
    const lines = new LineDecoder();
    const acknowledge = () => socket.write(encodeLine({ type: 'published', ids: taken.splice(0) }));
    socket.on('error', () => {});
    socket.write(encodeLine({ ...welcome, publishes: false }));
    socket.on('data', (chunk: Buffer) => {
      for (const line of lines.push(chunk)) {
        const decoded = decodeWrapperLine(line);
        if (decoded.kind !== 'message') continue;
        const { message } = decoded;
        if (message.type === 'event') {
          const { status } = message.event.data;
          taken.push(message.event.id);
          if (isAwaited(status)) acknowledge();
          after[status]?.();
        } else if (message.type === 'state') {
          // After the first event was ready to be sent: that it waits for this is part of every life.
          if (message.state === 'starting') socket.write(encodeLine({ ...welcome, publishes: true }));
          if (isAwaited(message.state) && taken.length > 0) acknowledge();
        }
      }
    });
  });
  server.listen({ path });
  await once(server, 'listening');
  return server;
}
