/** More than any machine can address: V8 collects all that it can before it gives up. */
const impossibleBytes = 2 ** 50;

/** What is not running just then loses its compiled code, and half-empty pages are moved together. */
const thorough = ['stress-flush-code', 'compact-on-every-full-gc'];

/**
 * Collects all garbage, and the compiled code of what is not running just then, such as the whole start. An idle process allocates too
 * little to ever do so by itself; with MALLOC_TRIM_THRESHOLD_ set, as in the image, the pages go back to the system. Takes some 20 ms.
 *
 * The function that `--expose-gc` brings would do too, but it needs a context of its own, which is 0.3 MiB that stays.
 */
export function collectGarbage(): void {
  // Loaded late: it takes 2 ms, which a game's start need not wait for.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  for (const flag of thorough) setFlagsFromString(`--${flag}`);
  try {
    new ArrayBuffer(impossibleBytes);
  } catch {
    // As expected.
  }
  for (const flag of thorough) setFlagsFromString(`--no-${flag}`);
}
