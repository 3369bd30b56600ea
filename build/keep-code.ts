import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeWrapperLine } from '../shared/link/decode-line.ts';
import { LineDecoder } from '../shared/link/line-decoder.ts';
import { encodeLine } from '../shared/link/link-message.ts';

const lifeMs = 60_000;
const mostLives = 6;
/** Between two steps of a life, so that all that follows from one is over before the next begins. */
const stepMs = 500;
/** Ends a step after SIGTERM. */
const game = ['/bin/sh', '-c', `trap "sleep ${stepMs / 1000}; exit 0" TERM; sleep 60 & wait`];

/**
 * Runs the bundled wrapper through a short life as one that is linked to an agent, and writes the bytecode of all that it has called to
 * `code`. A busy machine may change what that is: two lives should agree, so that two builds are equal. Where none do, the last one is
 * kept, which works as well. Resolves with its size in bytes; rejects with what the wrapper said where it fails.
 */
export async function keepCode(program: string, code: string): Promise<number> {
  let kept = Buffer.alloc(0);
  for (let lives = 0, agree = false; lives < mostLives && !agree; lives++) {
    await live(program, code);
    const before = kept;
    kept = await readFile(code);
    agree = before.equals(kept);
  }
  return kept.length;
}

async function live(program: string, code: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spotable-keep-code-'));
  const link = join(folder, 'link');
  const quiet = ['--metadata-endpoint', 'none', '--liveness', 'none', '--ready', `delay:${stepMs}ms`];
  const flags = ['--link', link, '--state-dir', folder, ...quiet];
  // V8 orders its tables by a seed.
  const args = ['--random-seed=1', join(import.meta.dirname, 'run-and-keep-code.ts'), program, code];
  let wrapper: ChildProcess | undefined;
  const agent = await playAgent(link, () => setTimeout(() => wrapper?.kill('SIGTERM'), stepMs));
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

const isAwaited = (state: string | undefined): boolean => state === 'ready' || state === 'terminated';

const welcome = { type: 'welcome', version: 1, node: 'node' } as const;

/**
 * Takes every event. In every life the first one waits until the game is ready and the third until it has ended, so that the
 * next ones find them waiting.
 */
async function playAgent(path: string, onReady: () => void): Promise<Server> {
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
          taken.push(message.event.id);
          if (isAwaited(message.event.type.split('.').at(-2))) acknowledge();
        } else if (message.type === 'state') {
          // After the first event was ready to be sent: that it waits for this is part of every life.
          if (message.state === 'starting') socket.write(encodeLine({ ...welcome, publishes: true }));
          if (message.state === 'ready') onReady();
          if (isAwaited(message.state) && taken.length > 0) acknowledge();
        }
      }
    });
  });
  server.listen({ path });
  await once(server, 'listening');
  return server;
}
