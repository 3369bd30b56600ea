import { spawn } from 'node:child_process';
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
/** It ends by itself, long after all that follows from its start: nothing in its life is a race. */
const game = ['/bin/sleep', '1'];

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
  const quiet = ['--metadata-endpoint', 'none', '--liveness', 'none', '--ready', 'delay:100ms'];
  const flags = ['--link', link, '--state-dir', folder, ...quiet];
  // V8 orders its tables by a seed.
  const args = ['--random-seed=1', join(import.meta.dirname, 'run-and-keep-code.ts'), program, code];
  const agent = await playAgent(link);
  try {
    const child = spawn(process.execPath, [...args, ...flags, '--', ...game], {
      env: { TMPDIR: folder, POD_NAME: 'game' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: lifeMs,
    });
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

/** Takes every event. */
async function playAgent(path: string): Promise<Server> {
  const server = createServer((socket) => {
    const lines = new LineDecoder();
    socket.on('error', () => {});
    socket.write(encodeLine({ ...welcome, publishes: false }));
    socket.on('data', (chunk: Buffer) => {
      for (const line of lines.push(chunk)) {
        const decoded = decodeWrapperLine(line);
        if (decoded.kind !== 'message') continue;
        const { message } = decoded;
        // After the first event was ready to be sent: that it waits for this is part of every life.
        if (message.type === 'state' && message.state === 'starting')
          socket.write(encodeLine({ ...welcome, publishes: true }));
        if (message.type === 'event') socket.write(encodeLine({ type: 'published', ids: [message.event.id] }));
      }
    });
  });
  server.listen({ path });
  await once(server, 'listening');
  return server;
}
