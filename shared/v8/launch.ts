import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { moduleScript, runModule } from './module-script.ts';

/*
 * Starts the bundled wrapper with the bytecode that the build has kept, so that a game does not wait until V8 has
 * compiled a hundred kilobytes. From source, wrapper/main.ts runs without it.
 */

const folder = import.meta.dirname;
const program = join(folder, 'wrapper-program.cjs');

/** undefined: functions are compiled when they are called. */
function keptCode(): Buffer | undefined {
  try {
    return readFileSync(join(folder, 'wrapper-program.code'));
  } catch {
    return undefined;
  }
}

runModule(moduleScript(program, keptCode()), program, folder, require);
