import { parseInstant } from './interruption.ts';

const iso = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?) ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?$/;
const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const named = /^(?:[A-Z]{3}, )?(\d{1,2}) ([A-Z]{3}) (\d{4}) (\d{2}:\d{2}:\d{2}) (?:GMT|UTC)$/;
/** Smaller numbers are seconds, larger ones milliseconds; both then lie between 2001 and 2286. */
const minEpochMs = 1_000_000_000_000;
const maxEpochMs = 9_999_999_999_999;

/**
 * Parses an instant of AWS, a mock or an HTTP server into epoch milliseconds: RFC 3339, also without a zone (taken as
 * UTC) or with a space for its `T`; `21 Jan 2026 09:00:43 GMT`, with or without a weekday; epoch seconds or
 * milliseconds. undefined: malformed.
 */
export function readInstant(value: unknown): number | undefined {
  if (typeof value === 'number') return readEpoch(value);
  const text = typeof value === 'string' ? value.trim().toUpperCase() : '';
  if (/^\d{10,13}$/.test(text)) return readEpoch(Number(text));
  const [, date, time, zone = 'Z'] = iso.exec(text) ?? [];
  if (date !== undefined) return parseInstant(`${date}T${time}${rfc3339Zone(zone)}`);
  const [, day = '', month = '', year, at] = named.exec(text) ?? [];
  const number = String(months.indexOf(month) + 1).padStart(2, '0');
  return year === undefined ? undefined : parseInstant(`${year}-${number}-${day.padStart(2, '0')}T${at}Z`);
}

function readEpoch(value: number): number | undefined {
  const epochMs = Math.trunc(value < minEpochMs ? value * 1000 : value);
  return epochMs >= minEpochMs && epochMs <= maxEpochMs ? epochMs : undefined;
}

function rfc3339Zone(zone: string): string {
  return /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.replace(/^(UTC|GMT)$/, 'Z');
}
