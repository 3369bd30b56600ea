import { exitStatus } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { compileAddon } from './compile-addon.ts';

// node fanout/native/main.ts FILE: builds the fan-out's fast path into FILE, by default where `npm run fanout` finds it.
const outFile = process.argv[2] ?? `${import.meta.dirname}/../../dist/fanout.node`;
try {
  const compiled = await compileAddon({ outFile });
  process.stderr.write(compiled.kind === 'compiled' ? `${outFile} built\n` : `fast path skipped: ${compiled.reason}\n`);
} catch (error) {
  process.stderr.write(`fanout addon: ${errorText(error)}\n`);
  process.exitCode = exitStatus.software;
}
