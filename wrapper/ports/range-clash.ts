import { readFileSync } from 'node:fs';
import type { PortRange } from '../settings/parse-setting.ts';

/** Kubernetes' default range for NodePort services. */
const nodePorts: PortRange = { first: 30_000, last: 32_767 };

/** Names what may take a port of the range without a lease; undefined: nothing that we know of. */
export function rangeClash(range: PortRange, ephemeral: PortRange | undefined): string | undefined {
  if (ephemeral !== undefined && overlap(range, ephemeral))
    return `outgoing connections take ports of ${ephemeral.first}-${ephemeral.last} (net.ipv4.ip_local_port_range)`;
  if (overlap(range, nodePorts))
    return `Kubernetes gives NodePort services ports of ${nodePorts.first}-${nodePorts.last}`;
  return undefined;
}

function overlap(a: PortRange, b: PortRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** The kernel's port range for outgoing connections; undefined if the kernel does not tell. */
export function readEphemeralRange(): PortRange | undefined {
  try {
    const [first = Number.NaN, last = Number.NaN] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
      .split(/\s+/)
      .map(Number);
    return Number.isNaN(first + last) ? undefined : { first, last };
  } catch {
    return undefined;
  }
}
