import { isIPv6 } from 'node:net';

/**
 * The local addresses of upstream sockets, used in turn. Each has about 28,000 ports, and a session takes one per
 * replica.
 */
export class SourceAddresses {
  readonly #four: readonly string[];
  readonly #six: readonly string[];
  #turn = 0;

  constructor(addresses: readonly string[]) {
    this.#four = addresses.filter((address) => !isIPv6(address));
    this.#six = addresses.filter(isIPv6);
  }

  /** undefined: no address of the replica's family is configured, and the system chooses. */
  next(replicaAddress: string): string | undefined {
    const addresses = isIPv6(replicaAddress) ? this.#six : this.#four;
    this.#turn++;
    return addresses[this.#turn % addresses.length];
  }
}
