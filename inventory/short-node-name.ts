/** `ip-10-0-1-17` of `ip-10-0-1-17.eu-west-1.compute.internal`: the rest is the same for all nodes of a region. */
export function shortNodeName(node: string): string {
  return node.split('.', 1)[0] || node;
}
