import { isIP, isIPv6 } from 'node:net';
import type { Parsed } from '../shared/settings/setting.ts';

/** A host (IPv4, IPv6 or DNS name) and a UDP port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Reads `10.0.0.1:7777`, `[2001:db8::1]:7777`, `name.example:7777`. Port 0 only where `minPort` is 0. */
export function parseEndpoint(text: string, minPort = 1): Parsed<Endpoint> {
  const expected = 'HOST:PORT, such as 10.0.0.1:7777 or [2001:db8::1]:7777';
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) return { expected };
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  const isWrongHost = match[1] === undefined ? !isHostName(host) : !isIPv6(host);
  return isWrongHost || port < minPort || port > 65_535 ? { expected } : { value: { host, port } };
}

/** The text that {@link parseEndpoint} reads back. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function isHostName(text: string): boolean {
  if (isIP(text) === 4) return true;
  // All digits and dots but no IPv4 address is a mistyped address, not a name.
  return /^(?=.{1,253}$)[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?\.?$/.test(text) && !/^[\d.]+$/.test(text);
}

/**
 * What counts as one source for limits: an IPv4 address, or an IPv6 /64, because whoever has one address of a /64 usually has
 * all 2^64 of them. A dual-stack socket writes IPv4 addresses as `::ffff:192.0.2.1`.
 */
export function sourceOf(address: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
  const groups = [...front, ...Array<string>(Math.max(0, zeros)).fill('0'), ...back].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
