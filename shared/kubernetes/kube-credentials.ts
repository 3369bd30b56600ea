import type { Dispatcher } from 'undici';

/** What a call to the API server needs besides its path. */
export interface Authorization {
  readonly headers: Readonly<Record<string, string>>;
  /** undefined: undici's own. */
  readonly dispatcher: Dispatcher | undefined;
}

/** Where the API server is, and who we are to it. */
export interface KubeCredentials {
  /** `https://HOST:PORT`, without a slash at its end. */
  readonly server: string;
  /** Asked for at every call, because tokens are renewed. */
  authorize(): Promise<Authorization>;
  close(): Promise<void>;
}
