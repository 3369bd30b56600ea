/** So many newcomers refused between two looks. */
const floodRefusals = 100;
const lookEveryMs = 50;
/** Players kept apart between two looks, so that this alone takes no noticeable time. */
const maxIsolations = 200;

/** Tells from refused newcomers, in numbers that players never come in, whether those who play are to be kept apart from them. */
export class Flood {
  #lookedAtMs = 0;
  #refused = 0;
  #isOn = false;
  #isolations = 0;

  /** `refused`: newcomers refused so far. */
  weigh(refused: number, nowMs: number): void {
    if (nowMs - this.#lookedAtMs < lookEveryMs) return;
    this.#isOn = refused - this.#refused > floodRefusals;
    this.#lookedAtMs = nowMs;
    this.#refused = refused;
    this.#isolations = 0;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Whether one more player may be kept apart now; counts it. */
  mayIsolate(): boolean {
    return this.#isolations++ < maxIsolations;
  }
}
