/** A matchmaker's request, whichever interface it came by. */
export interface AllocationRequest {
  readonly namespace: string;
  /** Chosen by the caller: the same id gets the same game server on every request. */
  readonly sessionId: string | undefined;
  /** In order: the first one with a matching game server decides. At least one. */
  readonly selectors: readonly GameServerSelector[];
  readonly scheduling: Scheduling;
  readonly priorities: readonly Priority[];
  /** Added to the game server's pod. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export type Scheduling = 'Packed' | 'Distributed';

export interface GameServerSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly LabelExpression[];
  readonly state: 'Ready' | 'Allocated';
  readonly counters: Readonly<Record<string, CounterSelector>>;
  readonly lists: Readonly<Record<string, ListSelector>>;
}

export interface LabelExpression {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

/** A maximum of 0 means no maximum. Available is the capacity less the count. */
export interface CounterSelector {
  readonly minCount: number;
  readonly maxCount: number;
  readonly minAvailable: number;
  readonly maxAvailable: number;
}

export interface ListSelector {
  /** Empty: any. */
  readonly containsValue: string;
  readonly minAvailable: number;
  readonly maxAvailable: number;
}

/** Orders game servers by the available amount of a counter or list. */
export interface Priority {
  readonly type: 'Counter' | 'List';
  readonly key: string;
  readonly order: 'Ascending' | 'Descending';
}

export const anyGameServer: GameServerSelector = {
  matchLabels: {},
  matchExpressions: [],
  state: 'Ready',
  counters: {},
  lists: {},
};
