import { setFlagsFromString } from 'node:v8';

/** More than any machine can address: V8 collects all that it can before it gives up. */
const impossibleBytes = 2 ** 50;

/**
 * Collects all garbage, and the compiled code of what is not running just then, such as the whole start. An idle process allocates too
 * little to ever do so by itself; with MALLOC_TRIM_THRESHOLD_ set, as in the image, the pages go back to the system. Takes some 20 ms.
 *
 * The function that `--expose-gc` brings would do too, but it needs a context of its own, which is 0.3 MiB that stays.
 */
export function collectGarbage(): void {
  setFlagsFromString('--stress-flush-code');
  try {
    new ArrayBuffer(impossibleBytes);
  } catch {
    // As expected.
  }
  setFlagsFromString('--no-stress-flush-code');
}
