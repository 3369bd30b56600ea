import type { Peer } from './callers/connection-table.ts';
import type { Answer } from './model/answer.ts';
import type { SdkCall } from './model/sdk-call.ts';
import type { Watch, WatcherSink } from './watchers.ts';

/** The part that REST and gRPC share; both are thin shells over it. */
export interface SdkEndpoint {
  /** Returns the reply in the protocol's JSON form, or an error. */
  call(
    call: SdkCall,
  ): Omit<Extract<Answer, { reply: object }>, 'model'> | Omit<Extract<Answer, { error: object }>, 'model'>;
  /** undefined: there are too many watchers. */
  watch(sink: WatcherSink): Watch | undefined;
  /** Whether the game owns the connection. */
  isOwn(peer: Peer): Promise<boolean>;
}

/** A server for REST or gRPC. */
export interface SdkListener {
  readonly port: number;
  close(): void;
}

/** Connections at a time. Enough for every watcher and some calls. */
export const maxConnections = 1280;
/** Time for a stranger to read the refusal. */
export const refusedLingerMs = 1000;
/** A client sends its first byte within this time; otherwise close the connection. */
export const firstByteLimitMs = 5000;
