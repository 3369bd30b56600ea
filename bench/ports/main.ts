import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '../../build/bundle.ts';
import { abstractLeases } from '../../wrapper/ports/abstract-leases.ts';
import { type Launch, launchByPortZero, launchWrapped, type Outcome } from './launch.ts';

/*
 * A storm of starts, with games that bind after a random delay of up to two seconds, with leases and with the usual
 * "bind port 0 and close". Both keep the same number of games alive while others start, because that is when ports
 * collide.
 */

const launches = Number(process.argv[2] ?? 500);
const atOnce = 50;
const alive = 150;
const portRange = { first: 20_000, last: 29_999 };

interface Storm {
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly seconds: number;
}

async function storm(start: () => Launch | Promise<Launch>): Promise<Storm> {
  const began = performance.now();
  const outcomes = { bound: 0, collision: 0, failure: 0 };
  const running: Launch[] = [];
  let left = launches;
  const worker = async () => {
    while (left-- > 0) {
      const launched = await start();
      outcomes[await launched.outcome]++;
      running.push(launched);
      const oldest = running.length > alive - atOnce ? running.shift() : undefined;
      if (oldest !== undefined) await end(oldest);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  await Promise.all(running.map(end));
  return { outcomes, seconds: (performance.now() - began) / 1000 };
}

async function end({ process: child }: Launch): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

async function countLeases(): Promise<number> {
  let held = 0;
  for (let port = portRange.first; port <= portRange.last; port++) {
    const lease = await abstractLeases.take(port);
    if (lease === undefined) held++;
    await lease?.release();
  }
  return held;
}

function row(name: string, { outcomes, seconds }: Storm): string {
  const { bound, collision, failure } = outcomes;
  const cells = [launches, bound, collision, failure].map((cell) => String(cell).padStart(12));
  return `${name.padEnd(26)}${cells.join('')}${seconds.toFixed(1).padStart(10)} s`;
}

async function main(): Promise<void> {
  if (spawnSync('perl', ['-e', '1']).status !== 0)
    throw new Error('Cannot run the storm: perl, in which its game is written, is missing');
  const folder = mkdtempSync(join(tmpdir(), 'spotable-bench-'));
  try {
    await bundle('wrapper', folder);
    const heldBefore = await countLeases();
    const wrapped = await storm(() => launchWrapped(join(folder, 'wrapper.cjs'), Math.random));
    const heldAfter = await countLeases();
    const baseline = await storm(() => launchByPortZero(Math.random));
    console.log(`${atOnce} starts at a time, ${alive} game servers alive\n`);
    console.log(
      `${''.padEnd(26)}${['launches', 'bound', 'collisions', 'failures'].map((head) => head.padStart(12)).join('')}${'time'.padStart(12)}`,
    );
    console.log(row('leases', wrapped));
    console.log(row('bind port 0 and close', baseline));
    console.log(`\nleases held before ${heldBefore}, after ${heldAfter}\n`);
    const result = {
      launches,
      collisions: wrapped.outcomes.collision,
      failures: wrapped.outcomes.failure,
      leases_left: heldAfter - heldBefore,
      baseline_collisions: baseline.outcomes.collision,
      baseline_failures: baseline.outcomes.failure,
    };
    console.log(JSON.stringify(result));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
