import childProcess from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import v8 from 'node:v8';
import { moduleScript, runModule } from '../shared/module-script.ts';

// Runs PROGRAM with the arguments behind it until it starts a game, and writes the bytecode of what it has called by then to CODE.
const [program = '', code = ''] = process.argv.splice(2, 2);
const { setFlagsFromString } = v8;
// Which functions are compiled further is a matter of time, and leaves its mark on them.
const compilers = ['sparkplug', 'maglev', 'opt'];
for (const compiler of compilers) setFlagsFromString(`--no-${compiler}`);
const script = moduleScript(program);
childProcess.spawn = () => {
  // Bytecode fits only a process with the flags that it was kept under.
  for (const compiler of compilers) setFlagsFromString(`--${compiler}`);
  writeFileSync(code, script.createCachedData());
  process.exit(0);
};
runModule(script, program, dirname(program), createRequire(program));
