import { systemClock } from '../../../shared/clock.ts';
import type { RetryOptions } from '../../../shared/retry.ts';

/** A kubelet's backoff for requests to the API server. */
export const apiRetry: RetryOptions = { backoff: { firstMs: 100, maxMs: 5000 }, clock: systemClock };
