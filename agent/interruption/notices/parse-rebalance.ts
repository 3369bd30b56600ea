import { parseObject, quote } from '../../../shared/interruption/parse-document.ts';
import type { ParsedNotices } from '../../../shared/interruption/parsed-notices.ts';
import { readInstant } from '../../../shared/interruption/read-instant.ts';

/** 404 until EC2 sees an elevated risk. From then on it is listed as long as the instance lives. */
export const rebalancePath = '/latest/meta-data/events/recommendations/rebalance';

export interface RebalanceContext {
  readonly instanceId: string;
  /** How long a recommendation is valid. */
  readonly ttlMs: number;
  readonly nowMs: number;
  /** When a recommendation was first seen here, used if it names no valid time. */
  readonly firstSeenMs: number;
}

/** Clocks differ by less. */
const maxAheadMs = 60_000;

/**
 * Reads `{"noticeTime":"2026-07-16T19:18:24Z"}`. A recommendation is valid for `ttlMs` from the time that it names,
 * which a restarted agent sees too: a node must not stay cordoned forever because of a risk that never materialized.
 */
export function parseRebalance(body: string, context: RebalanceContext): ParsedNotices {
  const { instanceId, ttlMs, nowMs, firstSeenMs } = context;
  const document = parseObject(body);
  if ('garbage' in document) return document;
  const { noticeTime } = document.fields;
  if (noticeTime === undefined) return { garbage: `no noticeTime: ${quote(body)}` };
  const namedMs = readInstant(noticeTime);
  const isUsable = namedMs !== undefined && namedMs <= nowMs + maxAheadMs;
  const remarks = isUsable ? [] : [`noticeTime is no instant of the past: ${quote(noticeTime)}: first seen assumed`];
  if (nowMs >= (isUsable ? namedMs : firstSeenMs) + ttlMs) return { notices: [], remarks };
  const id = `${instanceId}/rebalance`;
  return { notices: [{ id, kind: 'rebalance', action: 'none', deadlineMs: undefined }], remarks };
}
