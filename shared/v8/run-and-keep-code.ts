import childProcess from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import v8 from 'node:v8';
import { moduleScript, runModule } from './module-script.ts';

// Usage: run-and-keep-code.ts PROGRAM CODE ARGS... Runs PROGRAM until it starts a game, then writes its bytecode to
// CODE.
const [program = '', code = ''] = process.argv.splice(2, 2);
const { setFlagsFromString } = v8;
// Timing decides which functions these compilers optimize, which would make builds differ.
const compilers = ['sparkplug', 'maglev', 'opt'];
for (const compiler of compilers) setFlagsFromString(`--no-${compiler}`);
const script = moduleScript(program);
childProcess.spawn = () => {
  // V8 accepts bytecode only in a process with the same flags.
  for (const compiler of compilers) setFlagsFromString(`--${compiler}`);
  writeFileSync(code, script.createCachedData());
  process.exit(0);
};
runModule(script, program, dirname(program), createRequire(program));
