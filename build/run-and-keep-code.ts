import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import v8 from 'node:v8';
import { moduleScript, runModule } from '../shared/module-script.ts';

// Runs PROGRAM with the arguments behind it, and writes the bytecode of what it has called to CODE at its exit.
const [program = '', code = ''] = process.argv.splice(2, 2);
const { setFlagsFromString } = v8;
// Which functions are compiled further is a matter of time, and leaves its mark on them.
const compilers = ['sparkplug', 'maglev', 'opt'];
for (const compiler of compilers) setFlagsFromString(`--no-${compiler}`);
// Bytecode fits only a process with the flags that it was kept under: those of a start, not those that the program sets later.
v8.setFlagsFromString = () => {};
const script = moduleScript(program);
process.on('exit', () => {
  for (const compiler of compilers) setFlagsFromString(`--${compiler}`);
  writeFileSync(code, script.createCachedData());
});
runModule(script, program, dirname(program), createRequire(program));
