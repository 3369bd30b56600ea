import type { DemoEvent } from './demo-event.ts';

/** Records events and lets the demo wait for them. */
export class DemoRecord {
  readonly #demoEvents: DemoEvent[] = [];
  readonly #onDemoEvent: (demoEvent: DemoEvent) => void;

  constructor(onDemoEvent: (demoEvent: DemoEvent) => void) {
    this.#onDemoEvent = onDemoEvent;
  }

  get demoEvents(): readonly DemoEvent[] {
    return this.#demoEvents;
  }

  add(demoEvent: DemoEvent): void {
    this.#demoEvents.push(demoEvent);
    this.#onDemoEvent(demoEvent);
  }
}

/** Polls until the condition holds. Resolves with whether it did in time; rejects when the signal aborts. */
export async function waitUntil(condition: () => boolean, limitMs: number, signal: AbortSignal): Promise<boolean> {
  const giveUpMs = Date.now() + limitMs;
  while (!condition()) {
    signal.throwIfAborted();
    if (Date.now() > giveUpMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
