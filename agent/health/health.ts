import type { RightsReview } from './review-rights.ts';

/** The agent's own state. */
export interface HealthInputs {
  readonly pollIntervalMs: number;
  /** Time since the last poll of the notice sources ended, whether or not it succeeded. */
  readonly stalledMs: number;
  /** Time since the spot notice was last readable; undefined: never. */
  readonly spotAgeMs: number | undefined;
  /** Time for which calls to the Kubernetes API have had no response. */
  readonly apiSilentMs: number;
  /** Addresses of the link that another process holds. */
  readonly deafOn: readonly string[];
  readonly seesNode: boolean;
  readonly seesPods: boolean;
  readonly rights: RightsReview;
}

/** Why the agent is unhealthy; empty: healthy. */
export type HealthProblems = readonly string[];

/**
 * A poll takes a few seconds at most, however the metadata service behaves. A longer silence means that the loop has
 * stopped.
 */
const maxSilenceMs = 30_000;

/** A failed call is repeated after a few seconds, and two failures in a row are an outage. */
const maxApiSilentMs = 10_000;

/**
 * Whether a restart would help. It would not if the metadata service or API server is unreachable: the next agent would
 * be as blind, and work in progress would be lost.
 */
export function livenessProblems({
  pollIntervalMs,
  stalledMs,
}: Pick<HealthInputs, 'pollIntervalMs' | 'stalledMs'>): HealthProblems {
  const limitMs = Math.max(maxSilenceMs, 5 * pollIntervalMs);
  return stalledMs > limitMs ? [`polling has stalled: no look for ${seconds(stalledMs)}`] : [];
}

/** What keeps the agent from working now. */
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
