import { systemClock } from '../../../shared/clock.ts';
import type { RetryOptions } from '../../../shared/retry.ts';

/** How a kubelet asks the API server again. */
export const apiRetry: RetryOptions = { backoff: { firstMs: 100, maxMs: 5000 }, clock: systemClock };
