import type { RightsReview } from './review-rights.ts';

/** What is known of the agent's own state. */
export interface HealthInputs {
  readonly pollIntervalMs: number;
  /** Since the last look at the sources of notices ended, well or not. */
  readonly stalledMs: number;
  /** Since the spot notice could last be read; undefined: it never could. */
  readonly spotAgeMs: number | undefined;
  /** How long calls to the Kubernetes API have had no answer. */
  readonly apiSilentMs: number;
  /** Addresses of the link on which nobody reaches us. */
  readonly deafOn: readonly string[];
  readonly seesNode: boolean;
  readonly seesPods: boolean;
  readonly rights: RightsReview;
}

/** Why the agent is not well; empty where it is. */
export type HealthProblems = readonly string[];

/**
 * A look takes some seconds at most, however the metadata service behaves: long silence means that the loop has
 * stopped.
 */
const maxSilenceMs = 30_000;

/** A call without an answer is tried again after some seconds: two of them in a row are an outage. */
const maxApiSilentMs = 10_000;

/**
 * Whether restarting would help. A metadata service or API server that is away is no reason: the next agent would be as
 * blind, and what this one has under way would be lost.
 */
export function livenessProblems({
  pollIntervalMs,
  stalledMs,
}: Pick<HealthInputs, 'pollIntervalMs' | 'stalledMs'>): HealthProblems {
  const limitMs = Math.max(maxSilenceMs, 5 * pollIntervalMs);
  return stalledMs > limitMs ? [`polling has stalled: no look for ${seconds(stalledMs)}`] : [];
}

/** What keeps the agent from doing its work now. */
export function readinessProblems(healthInputs: HealthInputs): HealthProblems {
  const { pollIntervalMs, spotAgeMs, apiSilentMs, deafOn, seesNode, seesPods, rights } = healthInputs;
  return [
    ...livenessProblems(healthInputs),
    ...sightProblems(spotAgeMs, pollIntervalMs),
    ...(apiSilentMs > maxApiSilentMs ? [`the Kubernetes API has not answered for ${seconds(apiSilentMs)}`] : []),
    ...deafOn.map((address) => `the link does not listen on ${address}`),
    ...(seesNode ? [] : ['the node was not seen yet']),
    ...(seesPods ? [] : ['the pods were not seen yet']),
    ...(rights.isComplete ? [] : ['own rights are not known yet']),
    ...rights.missing.map((right) => `missing right: ${right}`),
  ];
}

function sightProblems(spotAgeMs: number | undefined, pollIntervalMs: number): HealthProblems {
  if (spotAgeMs === undefined) return ['spot notices could not be read yet'];
  const limitMs = Math.max(maxSilenceMs, 5 * pollIntervalMs);
  return spotAgeMs > limitMs ? [`spot notices could not be read for ${seconds(spotAgeMs)}`] : [];
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
