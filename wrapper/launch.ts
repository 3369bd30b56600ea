import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { moduleScript, runModule } from '../shared/module-script.ts';

/*
 * What an image runs: the program with the bytecode that the build has kept of it, so that a game need not wait until V8 has read and
 * compiled a hundred kilobytes. Only bundles have such files; from the sources, main.ts runs as it is.
 */

const folder = import.meta.dirname;
const program = join(folder, 'wrapper-program.cjs');

/** undefined: the program is compiled as it is needed. */
function keptCode(): Buffer | undefined {
  try {
    return readFileSync(join(folder, 'wrapper-program.code'));
  } catch {
    return undefined;
  }
}

runModule(moduleScript(program, keptCode()), program, folder, require);
