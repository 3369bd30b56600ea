import type { GameServerState } from '../../../shared/events/event.ts';

/**
 * One shape per state, in a square of 12, so that states are distinguishable without colour. SVG path data, for both
 * the canvas and the page's markup.
 */
export const marks: Readonly<
  Record<GameServerState, { readonly path: string; readonly isFilled: boolean; readonly means: string }>
> = {
  ready: { path: 'M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10z', isFilled: true, means: 'waits for players' },
  allocated: { path: 'M6 0L12 6L6 12L0 6z', isFilled: true, means: 'has a match' },
  starting: { path: 'M6 2a4 4 0 1 0 0 8a4 4 0 1 0 0-8z', isFilled: false, means: 'not up yet' },
  terminating: { path: 'M0 2L12 2L6 12z', isFilled: true, means: 'goes, by its deadline' },
  lost: { path: 'M1.5 1.5L10.5 10.5M10.5 1.5L1.5 10.5', isFilled: false, means: 'gone without a word' },
  terminated: { path: 'M6 4a2 2 0 1 0 0 4a2 2 0 1 0 0-4z', isFilled: true, means: 'ended' },
};

export const stateNames: readonly GameServerState[] = [
  'ready',
  'allocated',
  'starting',
  'terminating',
  'lost',
  'terminated',
];
