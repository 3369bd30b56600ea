import { statSync } from 'node:fs';

/** Write permission of the group and of all others. */
const othersMayWrite = 0o022;

/**
 * Whether nobody but an owner of its directory can have put a socket at this address. That is how a wrapper knows its
 * agent: the directory is the agent's, and game pods have it read-only. An abstract address belongs to whichever
 * process of the node's network took it first, and the kernel's own word on a peer (SO_PEERCRED) is out of Node's
 * reach.
 */
export function isGuarded(address: string): boolean {
  if (address.startsWith('@')) return false;
  try {
    return (statSync(address.slice(0, address.lastIndexOf('/')) || '/').mode & othersMayWrite) === 0;
  } catch {
    return false;
  }
}
