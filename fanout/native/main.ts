import { exitStatus } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { compileAddon } from './compile-addon.ts';

// Usage: node fanout/native/main.ts [FILE]. Without FILE the addon goes where `npm run fanout` looks for it.
const outFile = process.argv[2] ?? `${import.meta.dirname}/../../dist/fanout.node`;
try {
  const compiled = await compileAddon({ outFile });
  process.stderr.write(
    compiled.kind === 'compiled' ? `${outFile} built\n` : `native transport skipped: ${compiled.reason}\n`,
  );
} catch (error) {
  process.stderr.write(`fanout addon: ${errorText(error)}\n`);
  process.exitCode = exitStatus.software;
}
