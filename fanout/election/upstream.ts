/** What an upstream source says of one replica of the game server. */
export interface Upstream {
  /** Stable as long as it is the same game server; a restarted one at the same address may have another. */
  readonly id: string;
  /** An IP address: names are resolved by the source. */
  readonly address: string;
  readonly port: number;
  /** `starting` gets the players' datagrams but cannot be primary; `terminating` answers until it is gone. */
  readonly readiness: 'starting' | 'ready' | 'terminating';
  /** Whether it says that its world equals the others'. undefined: it says nothing of it. */
  readonly isInSync: boolean | undefined;
  /** When it will be gone at the latest, epoch milliseconds; undefined: not known, or not going. */
  readonly deadlineMs: number | undefined;
}

export function isSamePlace(one: Upstream, other: Upstream): boolean {
  return one.id === other.id && one.address === other.address && one.port === other.port;
}
