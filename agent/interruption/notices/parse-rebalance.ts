import { type Notice, parseInstant } from '../../../shared/interruption/interruption.ts';
import { parseObject, quote } from './parse-document.ts';
import type { ParsedNotices } from './parsed-notices.ts';

/** 404 until EC2 sees an elevated risk; from then on it is listed as long as the instance lives. */
export const rebalancePath = '/latest/meta-data/events/recommendations/rebalance';

/**
 * Reads `{"noticeTime":"2026-07-16T19:18:24Z"}`. A recommendation counts for `ttlMs` from the time that it names, which is the same
 * for a restarted agent: a node must not stay cordoned for ever because of a risk that came to nothing.
 */
export function parseRebalance(body: string, instanceId: string, ttlMs: number, nowMs: number): ParsedNotices {
  const document = parseObject(body);
  if ('garbage' in document) return document;
  const { noticeTime } = document.fields as { noticeTime?: unknown };
  const noticedMs = parseInstant(noticeTime);
  if (noticedMs === undefined) return { garbage: `noticeTime is no instant: ${quote(noticeTime)}` };
  if (nowMs >= noticedMs + ttlMs) return { notices: [] };
  const notice: Notice = {
    id: `${instanceId}/rebalance`,
    kind: 'rebalance',
    action: 'none',
    deadlineMs: undefined,
  };
  return { notices: [notice] };
}
