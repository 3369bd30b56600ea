export interface TurnLimits {
  /** Maximum number of concurrent callers. */
  readonly max: number;
  /** Maximum number of waiting callers; more are refused at once. */
  readonly maxWaiting: number;
}

/** Limits the number of concurrent callers, and of those that wait. */
export class Turns {
  readonly #limits: TurnLimits;
  readonly #waiting = new Set<() => void>();
  #underWay = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /**
   * Resolves in order of arrival with the function that ends the turn. Rejects if too many wait, or with the signal's
   * reason.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const { max, maxWaiting } = this.#limits;
    if (this.#underWay < max) this.#underWay++;
    else if (this.#waiting.size >= maxWaiting) throw new Error(`More than ${maxWaiting} calls are waiting`);
    else await this.#wait(signal);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#passOn();
    };
  }

  /** A finished turn goes directly to the next caller, so that no newcomer can overtake. */
  #passOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#underWay--;
    else next();
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(go);
        reject(signal.reason);
      };
      const go = () => {
        this.#waiting.delete(go);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      this.#waiting.add(go);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
