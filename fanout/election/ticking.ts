import type { ControlPlane } from './control-plane.ts';

export interface Ticking {
  stop(): void;
  /** Milliseconds since the last tick. */
  sinceLastMs(): number;
}

/** A longer pause between two ticks is a stall of this process, and no time in which a replica can have been silent. */
const maxTicks = 2;

/** Gives the control plane its time: every tenth of the shortest silence, so that detection is late by about that. */
export function startTicking(control: ControlPlane, minSilenceMs: number): Ticking {
  const tickMs = Math.min(25, Math.max(5, minSilenceMs / 10));
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    control.tick(Math.min(nowMs - lastMs, maxTicks * tickMs));
    lastMs = nowMs;
  }, tickMs);
  return { stop: () => clearInterval(timer), sinceLastMs: () => performance.now() - lastMs };
}
