/** An error that comes with every datagram would come thousands of times a second. */
const quietMs = 10_000;
/** Texts that are remembered. */
const maxTexts = 100;

/** Passes on an error unless one with the same message was passed on within ten seconds. */
export function quietly(tell: (error: Error) => void, nowMs: () => number): (error: Error) => void {
  const toldMs = new Map<string, number>();
  return (error) => {
    const before = toldMs.get(error.message);
    if (before !== undefined && nowMs() - before < quietMs) return;
    if (toldMs.size >= maxTexts) toldMs.clear();
    toldMs.set(error.message, nowMs());
    tell(error);
  };
}
