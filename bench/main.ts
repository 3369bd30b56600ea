import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { exitStatus } from '../shared/exit-status.ts';

// Usage: npm run bench -- NAME [ARGS]. Runs bench/NAME/main.ts, which prints a table and, as its last line, one JSON
// object.
const [name = '', ...rest] = process.argv.slice(2);
const folder = import.meta.dirname;
const entry = `${folder}/${name}/main.ts`;
if (!/^[a-z-]+$/.test(name) || !existsSync(entry)) {
  const known = readdirSync(folder).filter((file) => existsSync(`${folder}/${file}/main.ts`));
  process.stderr.write(`bench: Unknown benchmark ${JSON.stringify(name)}: expected one of ${known.join(', ')}\n`);
  process.exitCode = exitStatus.usage;
} else {
  const child = spawn(process.execPath, [entry, ...rest], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128);
  });
}
