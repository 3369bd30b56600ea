import packageFile from '../../package.json' with { type: 'json' };
import { FatalError } from '../../shared/exit-status.ts';
import { type ProgramText, startUp } from '../../shared/settings/start-up.ts';
import { runDemo } from './demo.ts';
import { type DemoConfig, demoSettings } from './demo-settings.ts';
import { openScreen } from './screen.ts';

const program: ProgramText = {
  name: 'spotable-demo',
  version: packageFile.version,
  usage: 'npm start -- [FLAGS]',
  summary: `Runs Spotable on this machine, where a sandbox stands in for EC2, Kubernetes and SQS, and takes one node away from it:
two nodes, an agent on each, game servers on the first one, a spot notice. Nothing leaves the loopback interface.`,
  footer:
    'Exit status: 0 when all went as it should, 1 when not, 64 wrong flag, 69 something did not start, 130 after Ctrl-C.',
};

const start = startUp(demoSettings, program, { argv: process.argv.slice(2), env: {} });
if (start.kind === 'end') {
  process.stdout.write(start.stdout);
  process.stderr.write(start.stderr);
  process.exitCode = start.status;
} else {
  process.exitCode = await main(start.values);
}

async function main(config: DemoConfig): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const screen = openScreen((text) => process.stdout.write(text), process.stdout.isTTY === true);
  try {
    const summary = await runDemo(config, screen, stop.signal);
    if (config.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return summary.ok ? 0 : 1;
  } catch (error) {
    if (stop.signal.aborted) return 130;
    if (!(error instanceof FatalError)) throw error;
    process.stderr.write(`${program.name}: ${error.message}\n`);
    return error.status;
  }
}
