import { isIP, isIPv6 } from 'node:net';
import type { Parsed } from '../shared/settings/setting.ts';

/** A host (IPv4, IPv6 or DNS name) and a UDP port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Parses `10.0.0.1:7777`, `[2001:db8::1]:7777` or `name.example:7777`. Port 0 is accepted only if `minPort` is 0. */
export function parseEndpoint(text: string, minPort = 1): Parsed<Endpoint> {
  const expected = 'HOST:PORT, such as 10.0.0.1:7777 or [2001:db8::1]:7777';
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) return { expected };
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  const isWrongHost = match[1] === undefined ? !isHostName(host) : !isIPv6(host);
  return isWrongHost || port < minPort || port > 65_535 ? { expected } : { value: { host, port } };
}

/** The inverse of {@link parseEndpoint}. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function isHostName(text: string): boolean {
  if (isIP(text) === 4) return true;
  // Only digits and dots but not an IPv4 address: a mistyped address rather than a name.
  return /^(?=.{1,253}$)[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?\.?$/.test(text) && !/^[\d.]+$/.test(text);
}

/**
 * The network that limits per source apply to: an IPv4 address or an IPv6 /64, because a host usually owns its whole
 * /64. A dual-stack socket writes IPv4 addresses as `::ffff:192.0.2.1`.
 */
export function sourceNetwork(address: string): string {
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
