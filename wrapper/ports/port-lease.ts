import type { PublishedPort } from '../../shared/events/event.ts';

/** A port number that is ours until it is released or this process ends, in whatever way. */
export interface PortLease {
  readonly port: number;
  release(): Promise<void>;
}

/** Decides which wrapper uses which port, among all that share a network namespace. */
export interface PortLeases {
  /** undefined: another wrapper holds it. Throws a FatalError if leases do not work here at all. */
  take(port: number): Promise<PortLease | undefined>;
}

export interface LeasedPort extends PublishedPort {
  readonly name: string;
}
