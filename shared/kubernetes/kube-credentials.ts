import type { Agent } from 'node:http';
import type { TlsIdentity } from '../http/connections.ts';

/** The parts of an API call that authenticate it. */
export interface Authorization {
  readonly headers: Readonly<Record<string, string>>;
  /** The expected server and our client certificate. Connections are shared while this stays the same object. */
  readonly tls: TlsIdentity;
  /** Makes the connections if they go through a proxy. */
  readonly proxy?: Agent | undefined;
}

/** The API server's address and our credentials. */
export interface KubeCredentials {
  /** `https://HOST:PORT`, without a trailing slash. */
  readonly server: string;
  /** Called for each request, because tokens are renewed. */
  authorize(): Promise<Authorization>;
  /**
   * Call it if the server rejected the credentials or showed a certificate of another authority. Resolves with whether
   * the credentials have changed.
   */
  reload(): Promise<boolean>;
}
