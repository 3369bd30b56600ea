import type { ControlPlane } from './control-plane.ts';

export interface ElectionTimer {
  stop(): void;
  /** Time since the last tick. A large value means that the event loop is stuck. */
  sinceLastTickMs(): number;
}

/** A longer gap between two ticks is a stall of this process. It must not count as silence of a replica. */
const maxTicks = 2;

/** Ticks the control plane ten times per minimum silence, so that detection is late by about a tenth of it. */
export function startElectionTimer(control: ControlPlane, minSilenceMs: number): ElectionTimer {
  const tickMs = Math.min(25, Math.max(5, minSilenceMs / 10));
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    control.tick(Math.min(nowMs - lastMs, maxTicks * tickMs));
    lastMs = nowMs;
  }, tickMs);
  return { stop: () => clearInterval(timer), sinceLastTickMs: () => performance.now() - lastMs };
}
