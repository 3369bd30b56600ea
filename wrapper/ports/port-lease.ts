import type { PublishedPort } from '../../shared/events/event.ts';

/** A port number that is ours until it is released, or until this process ends in whatever way. */
export interface PortLease {
  readonly port: number;
  release(): Promise<void>;
}

/** Who may use which port, among all wrappers that share a network namespace. */
export interface PortLeases {
  /** undefined: somebody else holds it. Throws a FatalError where leases cannot be had at all. */
  take(port: number): Promise<PortLease | undefined>;
}

export interface LeasedPort extends PublishedPort {
  readonly name: string;
}
