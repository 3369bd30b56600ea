/**
 * The path on which the agent listens. `@name` is an abstract Unix socket: it belongs to the network namespace, which
 * hostNetwork pods share with the node, so it needs no volume. Anything else is the path of a socket file.
 */
export function linkPath(address: string): string {
  return address.startsWith('@') ? `\0${address.slice(1)}` : address;
}
