import type { InterruptionKind } from '../../shared/interruption/interruption.ts';

/**
 * What the agent does about an interruption. `drain`: tell the games, cordon, move every pod. `hold`: tell them of the risk and
 * cordon, nobody has to go yet. `cordon`: only take no new pods. `ignore`: nothing but a log line.
 */
export type Response = 'drain' | 'hold' | 'cordon' | 'ignore';

export type Policy = Readonly<Record<InterruptionKind, Response>>;

/** From the mildest to the strictest: of two notices at once the stricter one is answered. */
const strictness: Readonly<Record<Response, number>> = { ignore: 0, cordon: 1, hold: 2, drain: 3 };

export function isStricter(a: Response, b: Response): boolean {
  return strictness[a] > strictness[b];
}
