import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { encodeLine } from '../link/link-message.ts';
import { unknownInstance } from '../metadata/instance.ts';

const limitMs = 60_000;
/** The agent's first message. */
const instance = { ...unknownInstance, instanceId: 'i-0', publicHostname: 'node.example' };
const welcome = encodeLine({ type: 'welcome', version: 1, node: 'node', publishes: false, instance });

/**
 * Runs the bundled wrapper as if linked to an agent, until it starts its game, and writes the bytecode of every
 * function called so far to `code`. Later functions are not worth keeping: the wrapper discards all bytecode once its
 * game is ready. Resolves with the size in bytes; rejects with the wrapper's output if it fails.
 */
export async function keepCode(program: string, code: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'spotable-keep-code-'));
  const link = join(folder, 'link');
  const agent = createServer((socket) => socket.on('error', () => {}).write(welcome)).listen({ path: link });
  try {
    await once(agent, 'listening');
    // Makes V8 order its tables in the same way in every build.
    const args = ['--random-seed=1', join(import.meta.dirname, 'run-and-keep-code.ts'), program, code];
    const flags = ['--link', link, '--state-dir', folder, '--metadata-endpoint', 'none'];
    const wrapper = spawn(process.execPath, [...args, ...flags, '--', 'game'], {
      env: { TMPDIR: folder, POD_NAME: 'game' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: limitMs,
    });
    const [said] = await Promise.all([text(wrapper.stderr), once(wrapper, 'close')]);
    if (wrapper.exitCode !== 0)
      throw new Error(`Cannot keep the code of ${program}: exit ${wrapper.exitCode}\n${said}`);
    return (await stat(code)).size;
  } finally {
    agent.close();
    await rm(folder, { recursive: true, force: true });
  }
}
