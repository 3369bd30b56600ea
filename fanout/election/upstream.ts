/** One replica of the game server, as a source reports it. */
export interface Upstream {
  /** Identifies the game server process; a restarted one at the same address may have another ID. */
  readonly id: string;
  /** An IP address; sources resolve names. */
  readonly address: string;
  readonly port: number;
  /** A `starting` replica receives datagrams but cannot be primary; a `terminating` one replies until it is gone. */
  readonly readiness: 'starting' | 'ready' | 'terminating';
  /** Whether the replica reports that its world equals the others'; undefined: it reports nothing. */
  readonly isInSync: boolean | undefined;
  /** Latest time at which the replica is gone, epoch milliseconds; undefined: unknown, or not terminating. */
  readonly deadlineMs: number | undefined;
}

export function isSameReplica(one: Upstream, other: Upstream): boolean {
  return one.id === other.id && one.address === other.address && one.port === other.port;
}
