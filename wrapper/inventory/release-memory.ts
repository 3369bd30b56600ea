import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives back what loading and first using the SDK has left behind. An idle process allocates too little to ever collect it by itself;
 * with MALLOC_TRIM_THRESHOLD_ set, the collection also returns the pages to the system.
 */
export function releaseMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
