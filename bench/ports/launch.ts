import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';

export type Outcome = 'bound' | 'collision' | 'failure';

/** A started process, to be ended afterwards, and its outcome. */
export interface Launch {
  readonly process: ChildProcess;
  readonly outcome: Promise<Outcome>;
}

/** The game's exit status if its port is taken. */
const collisionStatus = 98;
const gameLimitMs = 60_000;
const maxDelaySeconds = 2;

function lateGame(random: () => number): string[] {
  return ['perl', join(import.meta.dirname, 'late-game.pl'), (random() * maxDelaySeconds).toFixed(3)];
}

/** Through the wrapper, as it is shipped. */
export function launchWrapped(wrapper: string, random: () => number): Launch {
  const flags = ['--port', 'SERVER_PORT=udp+tcp', '--link', 'none', '--metadata-endpoint', 'none', '--'];
  return launch(process.execPath, [wrapper, ...flags, ...lateGame(random)], {});
}

/** As many start scripts do it: get a free TCP port from the kernel, close it, and pass its number to the game. */
export async function launchByPortZero(random: () => number): Promise<Launch> {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const [command = '', ...args] = lateGame(random);
  return launch(command, args, { SERVER_PORT: String(port) });
}

function launch(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Launch {
  const child = spawn(command, [...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] });
  return { process: child, outcome: outcomeOf(child) };
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const limit = setTimeout(() => resolve('failure'), gameLimitMs);
  child.stdout?.once('data', () => resolve('bound'));
  child.once('error', () => resolve('failure'));
  child.once('exit', (code) => resolve(code === collisionStatus ? 'collision' : 'failure'));
  return promise.finally(() => clearTimeout(limit));
}
