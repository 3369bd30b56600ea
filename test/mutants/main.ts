import { parseArgs } from 'node:util';
import { exitStatus } from '../../shared/exit-status.ts';
import type { Mutant } from './mutant.ts';
import { mutants } from './mutants.ts';
import { ScratchCopy } from './scratch-copy.ts';

// `npm run mutants [-- --only TEXT] [--parallel N]`: changes one line at a time in a scratch copy and runs the test
// that must notice. Prints a table and, as its last line, one JSON object. Exits with 1 where a mutant survives.
const { values } = parseArgs({ options: { only: { type: 'string' }, parallel: { type: 'string', default: '2' } } });
const parallel = Number(values.parallel);
const { only } = values;
const chosen = mutants.filter(({ claim, file }) => only === undefined || claim.includes(only) || file.includes(only));
if (!(Number.isSafeInteger(parallel) && parallel > 0) || chosen.length === 0) {
  process.stderr.write(
    `mutants: Invalid flags: expected --parallel N above 0 and an --only TEXT that stands in the claim or file of a mutant\n`,
  );
  process.exitCode = exitStatus.usage;
} else {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  process.exitCode = await runAll(chosen, stop.signal);
}

async function runAll(all: readonly Mutant[], signal: AbortSignal): Promise<number> {
  const waiting = [...all];
  const survivors: Mutant[] = [];
  const worker = async () => {
    const copy = await ScratchCopy.create();
    try {
      for (let mutant = waiting.shift(); mutant !== undefined && !signal.aborted; mutant = waiting.shift()) {
        const outcome = await judge(copy, mutant, signal).catch((error: Error) => `error: ${error.message}`);
        if (outcome !== 'killed') survivors.push(mutant);
        process.stdout.write(`${outcome.padEnd(9)} ${mutant.file}: ${mutant.claim}\n`);
      }
    } finally {
      await copy.remove();
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, all.length) }, worker));
  const killed = all.length - survivors.length - waiting.length;
  process.stdout.write(`${JSON.stringify({ mutants: all.length, killed })}\n`);
  return killed === all.length ? 0 : 1;
}

/** `killed`: the test passes on the unchanged tree and fails on the mutated one. */
async function judge(copy: ScratchCopy, mutant: Mutant, signal: AbortSignal): Promise<string> {
  const before = await copy.test(mutant.test, signal);
  if (before !== 'passed') return before === 'missing' ? 'no test' : 'red test';
  return (await copy.testMutant(mutant, signal)) === 'failed' ? 'killed' : 'survived';
}
