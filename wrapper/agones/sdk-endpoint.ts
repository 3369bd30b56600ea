import type { Peer } from './callers/connection-table.ts';
import type { Answer } from './model/answer.ts';
import type { SdkCall } from './model/sdk-call.ts';
import type { Watch, WatcherSink } from './watchers.ts';

/** What REST and gRPC are thin shells over. */
export interface SdkEndpoint {
  /** The reply in the protocol's JSON form, or an error. */
  call(
    call: SdkCall,
  ): Omit<Extract<Answer, { reply: object }>, 'model'> | Omit<Extract<Answer, { error: object }>, 'model'>;
  /** undefined: there are too many watchers. */
  watch(sink: WatcherSink): Watch | undefined;
  /** Whether the connection is one of the game's. */
  isOwn(peer: Peer): Promise<boolean>;
}

/** A server for one of the protocol's two forms. */
export interface SdkListener {
  readonly port: number;
  close(): void;
}

/** Connections at a time; beyond, new ones are closed at once. Enough for every watcher and some calls. */
export const maxConnections = 1280;
/** How long a stranger has to read that it is refused. */
export const refusedLingerMs = 1000;
/** A connection that says nothing at all is no client. */
export const firstByteLimitMs = 5000;
