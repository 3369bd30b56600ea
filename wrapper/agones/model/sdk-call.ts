/** A game's call to the SDK server, whichever protocol it came by. The protocol's int64 is a bigint. */
export type SdkCall =
  | { readonly kind: 'get-game-server' }
  | { readonly kind: 'ready' | 'allocate' | 'shutdown' | 'health' }
  /** 0 or less: no time limit. */
  | { readonly kind: 'reserve'; readonly seconds: bigint }
  | { readonly kind: 'set-label' | 'set-annotation'; readonly key: string; readonly value: string }
  | CounterCall
  | ListCall
  | PlayerCall;

export type CounterCall =
  | { readonly kind: 'get-counter'; readonly name: string }
  | {
      readonly kind: 'update-counter';
      readonly name: string;
      readonly count: bigint | undefined;
      readonly capacity: bigint | undefined;
      /** Added to the count; 0 adds nothing. */
      readonly difference: bigint;
    };

export type ListCall =
  | { readonly kind: 'get-list'; readonly name: string }
  | {
      readonly kind: 'update-list';
      readonly name: string;
      readonly capacity: bigint;
      readonly values: readonly string[];
      /** The fields to set; empty: those that are given. */
      readonly fields: readonly string[];
    }
  | { readonly kind: 'add-list-value' | 'remove-list-value'; readonly name: string; readonly value: string };

export type PlayerCall =
  | { readonly kind: 'connect-player' | 'disconnect-player' | 'is-player-connected'; readonly playerId: string }
  | { readonly kind: 'set-player-capacity'; readonly capacity: bigint }
  | { readonly kind: 'get-player-capacity' | 'get-player-count' | 'get-connected-players' };
