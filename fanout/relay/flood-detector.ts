/** Refused new sessions per interval above which there is a flood. Real players never arrive in such numbers. */
const floodRefusals = 100;
const lookEveryMs = 50;
/** Players isolated per interval; more would delay datagrams noticeably. */
const maxIsolations = 200;

/**
 * Detects a flood of made-up addresses by the number of refused sessions, and paces the isolation of confirmed players.
 */
export class FloodDetector {
  #lookedAtMs = 0;
  #refused = 0;
  #isOn = false;
  #isolations = 0;

  /** `refused` is the total so far. */
  update(refused: number, nowMs: number): void {
    if (nowMs - this.#lookedAtMs < lookEveryMs) return;
    this.#isOn = refused - this.#refused > floodRefusals;
    this.#lookedAtMs = nowMs;
    this.#refused = refused;
    this.#isolations = 0;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Whether one more player may be isolated in this interval; counts the player. */
  mayIsolate(): boolean {
    return this.#isolations++ < maxIsolations;
  }
}
