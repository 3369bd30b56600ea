import { STATUS_CODES } from 'node:http';
import type { KubeStatus } from './kube-object.ts';

/** The API server answered, and refused. Network failures and time-outs are plain Errors. */
export class KubeError extends Error {
  readonly status: number;
  /** `NotFound`, `Conflict`, `Expired`, ... ; missing where the answer was no Status object. */
  readonly reason: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** The text of the answer, however nonsensical. */
  readonly body: string;

  constructor(act: string, answer: { status: number; retryAfter: string | undefined; body: string }) {
    const status = parseStatus(answer.body);
    const said = status?.message ? `: ${status.message}` : '';
    super(`Cannot ${act}: ${answer.status} ${STATUS_CODES[answer.status] ?? 'Unknown'}${said}`);
    this.name = 'KubeError';
    this.status = answer.status;
    this.reason = status?.reason;
    const seconds = Number(answer.retryAfter);
    this.retryAfterSeconds = answer.retryAfter !== undefined && seconds >= 0 ? seconds : undefined;
    this.body = answer.body;
  }
}

export function isKubeError(error: unknown, ...statuses: number[]): error is KubeError {
  return error instanceof KubeError && (statuses.length === 0 || statuses.includes(error.status));
}

function parseStatus(body: string): KubeStatus | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
