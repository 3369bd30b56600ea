import type { Agent } from 'node:http';
import type { TlsIdentity } from '../http/connections.ts';

/** What a call to the API server needs besides its path. */
export interface Authorization {
  readonly headers: Readonly<Record<string, string>>;
  /** Who the server must be, and who we are to it. Connections are shared while this stays the same object. */
  readonly tls: TlsIdentity;
  /** What makes the connections where they lead through a proxy. */
  readonly proxy?: Agent | undefined;
}

/** Where the API server is, and who we are to it. */
export interface KubeCredentials {
  /** `https://HOST:PORT`, without a slash at its end. */
  readonly server: string;
  /** Asked for at every call, because tokens are renewed. */
  authorize(): Promise<Authorization>;
  /**
   * The server refused what it was shown, or showed a certificate of another authority. Resolves with whether anything
   * has changed since.
   */
  reload(): Promise<boolean>;
}
