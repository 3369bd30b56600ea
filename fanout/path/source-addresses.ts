import { isIPv6 } from 'node:net';

/** The local addresses that replicas are reached from, in turn: each has some 28,000 ports, and a session takes one a replica. */
export class SourceAddresses {
  readonly #four: readonly string[];
  readonly #six: readonly string[];
  #turn = 0;

  constructor(addresses: readonly string[]) {
    this.#four = addresses.filter((address) => !isIPv6(address));
    this.#six = addresses.filter(isIPv6);
  }

  /** undefined: the system's choice, where none is of the replica's family. */
  next(replicaAddress: string): string | undefined {
    const addresses = isIPv6(replicaAddress) ? this.#six : this.#four;
    this.#turn++;
    return addresses[this.#turn % addresses.length];
  }
}
