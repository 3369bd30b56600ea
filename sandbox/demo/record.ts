import type { Happening } from './happening.ts';

/** Collects what happens, and lets the demo wait for it. */
export class HappeningRecord {
  readonly #happenings: Happening[] = [];
  readonly #onHappening: (happening: Happening) => void;

  constructor(onHappening: (happening: Happening) => void) {
    this.#onHappening = onHappening;
  }

  get happenings(): readonly Happening[] {
    return this.#happenings;
  }

  add(happening: Happening): void {
    this.#happenings.push(happening);
    this.#onHappening(happening);
  }
}

/** Looks again and again until the condition holds. Resolves with whether it did in time; rejects when the signal aborts. */
export async function waitUntil(condition: () => boolean, limitMs: number, signal: AbortSignal): Promise<boolean> {
  const giveUpMs = Date.now() + limitMs;
  while (!condition()) {
    signal.throwIfAborted();
    if (Date.now() > giveUpMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
