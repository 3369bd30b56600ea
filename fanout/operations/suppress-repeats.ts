/** An error that every datagram causes would otherwise be logged thousands of times a second. */
const suppressMs = 10_000;
const maxTexts = 100;

/** Reports an error unless one with the same message was reported in the last ten seconds. */
export function suppressRepeats(tell: (error: Error) => void, nowMs: () => number): (error: Error) => void {
  const toldMs = new Map<string, number>();
  return (error) => {
    const before = toldMs.get(error.message);
    if (before !== undefined && nowMs() - before < suppressMs) return;
    if (toldMs.size >= maxTexts) toldMs.clear();
    toldMs.set(error.message, nowMs());
    tell(error);
  };
}
