import { statSync } from 'node:fs';

/** Write permission for group and others. */
const othersMayWrite = 0o022;

/**
 * Whether only an owner of its directory can have put a socket at this address. That is how a wrapper recognises its
 * agent: the directory belongs to the agent, and game pods mount it read-only. An abstract address belongs to whichever
 * process of the node's network took it first, and Node cannot read the kernel's own record of a peer (SO_PEERCRED).
 */
export function isGuarded(address: string): boolean {
  if (address.startsWith('@')) return false;
  try {
    return (statSync(address.slice(0, address.lastIndexOf('/')) || '/').mode & othersMayWrite) === 0;
  } catch {
    return false;
  }
}
