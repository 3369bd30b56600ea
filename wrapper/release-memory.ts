import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives back what starting up, or loading the SDK, has left behind: 1 MiB of 11, with the SDK 8 of 25. An idle process allocates too little
 * to ever collect it by itself; with MALLOC_TRIM_THRESHOLD_ set, as in the image, the collection also returns the pages to the system.
 * Takes some 10 ms.
 */
export function releaseMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
