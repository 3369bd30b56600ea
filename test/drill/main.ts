import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type DrillResult, runDrill } from './run-drill.ts';
import { makeSchedule } from './schedule.ts';

// `npm run drill -- --seeds 100 [--first 1] [--parallel N]`: plays fault schedules against the agent and prints a
// table. A seed that failed is played again with `--first SEED --seeds 1`.
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '1' },
    parallel: { type: 'string', default: String(Math.max(1, availableParallelism())) },
  },
});
const [seeds, first, parallel] = [values.seeds, values.first, values.parallel].map(Number) as [number, number, number];
if (![seeds, first, parallel].every((value) => Number.isSafeInteger(value) && value > 0)) {
  process.stderr.write('drill: Invalid flags: expected whole numbers above 0 for --seeds, --first and --parallel\n');
  process.exitCode = 64;
} else {
  // Ending in order lets every agent under way be ended too.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  process.exitCode = await drillAll();
}

async function drillAll(): Promise<number> {
  const waiting = Array.from({ length: seeds }, (_, index) => first + index);
  const results: DrillResult[] = [];
  const worker = async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const result = await runDrill(makeSchedule(seed)).catch((error: unknown) => failed(seed, error));
      results.push(result);
      process.stdout.write(`${row(result)}\n`);
    }
  };
  process.stdout.write('seed  pods  drained  what happened; what went wrong\n');
  await Promise.all(Array.from({ length: parallel }, worker));
  const bad = results.filter(({ problems }) => problems.length > 0).map(({ seed }) => seed);
  process.stdout.write(`${JSON.stringify({ drill: 'agent', seeds, failed: bad.toSorted((a, b) => a - b) })}\n`);
  return bad.length === 0 ? 0 : 1;
}

function failed(seed: number, error: unknown): DrillResult {
  const problem = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return { seed, pods: 0, demoEvents: '', drainedMs: undefined, problems: [problem] };
}

function row({ seed, pods, drainedMs, demoEvents, problems }: DrillResult): string {
  const drained = drainedMs === undefined ? '-' : `${(drainedMs / 1000).toFixed(1)} s`;
  const what = problems.length === 0 ? demoEvents : `${demoEvents}; ${problems.join(', ')}`;
  return `${String(seed).padStart(4)}  ${String(pods).padStart(4)}  ${drained.padStart(7)}  ${what}`;
}
