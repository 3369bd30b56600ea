import type { V1Deployment, V1Node, V1Pod, V1ReplicaSet } from '@kubernetes/client-node';
import type { Clock } from '../../shared/clock.ts';
import { allocationLabel } from '../../shared/fleet-names.ts';
import { FollowedList } from '../../shared/kubernetes/follow-list.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { Log } from '../../shared/log.ts';
import { type Fleet, type FleetVersion, readFleet, readVersion } from './fleet.ts';
import { type GameServerPod, readPod } from './game-server-pod.ts';
import { deploymentsPath, podsPath, replicaSetsPath } from './kube-paths.ts';
import { type NodeView, readNode } from './node-view.ts';

export interface ClusterViewOptions {
  readonly connection: KubeConnection;
  readonly namespace: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The state that allocation and the loop decide from. */
export interface ClusterState {
  /** By uid. */
  readonly pods: ReadonlyMap<string, GameServerPod>;
  /** By name. */
  readonly nodes: ReadonlyMap<string, NodeView>;
  /** By uid. */
  readonly fleets: ReadonlyMap<string, Fleet>;
  /** By uid. */
  readonly versions: ReadonlyMap<string, FleetVersion>;
}

/** Game servers, fleets and nodes, kept current by watches. */
export class ClusterView implements ClusterState {
  readonly #options: ClusterViewOptions;
  readonly #seen = new Set<string>();
  #change = Promise.withResolvers<void>();
  /** By uid. */
  #nodes: ReadonlyMap<string, NodeView> = new Map();
  #nodesByName: ReadonlyMap<string, NodeView> | undefined;
  pods: ReadonlyMap<string, GameServerPod> = new Map();
  fleets: ReadonlyMap<string, Fleet> = new Map();
  versions: ReadonlyMap<string, FleetVersion> = new Map();

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  get nodes(): ReadonlyMap<string, NodeView> {
    this.#nodesByName ??= new Map([...this.#nodes.values()].map((node) => [node.name, node]));
    return this.#nodesByName;
  }

  /** Whether every resource was listed once. */
  get isComplete(): boolean {
    return this.#seen.size === 4;
  }

  /** The resources that were never listed, worded for a readiness probe. */
  get missing(): readonly string[] {
    return ['pods', 'nodes', 'fleets', 'versions'].filter((what) => !this.#seen.has(what));
  }

  /** Resolves at the next change after the call. */
  changed(): Promise<void> {
    return this.#change.promise;
  }

  /** Follows until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const { connection, namespace, clock, log } = this.#options;
    const common = { connection, clock, log };
    const lists = [
      new FollowedList({
        ...common,
        path: `${podsPath(namespace)}?labelSelector=${encodeURIComponent(allocationLabel)}`,
        read: (object) => readPod(object as V1Pod),
        onItems: (pods) => this.#see('pods', () => (this.pods = pods)),
      }),
      new FollowedList({
        ...common,
        path: '/api/v1/nodes',
        read: (object) => readNode(object as V1Node),
        onItems: (nodes) =>
          this.#see('nodes', () => {
            this.#nodes = nodes;
            this.#nodesByName = undefined;
          }),
      }),
      new FollowedList({
        ...common,
        path: deploymentsPath(namespace),
        read: (object) => readFleet(object as V1Deployment),
        onItems: (fleets) => this.#see('fleets', () => (this.fleets = fleets)),
      }),
      new FollowedList({
        ...common,
        path: replicaSetsPath(namespace),
        read: (object) => readVersion(object as V1ReplicaSet),
        onItems: (versions) => this.#see('versions', () => (this.versions = versions)),
      }),
    ];
    await Promise.all(lists.map((list) => list.run(signal)));
  }

  /** Resolves once everything is known; rejects with the signal's reason. */
  async complete(signal: AbortSignal): Promise<void> {
    while (!this.isComplete) {
      signal.throwIfAborted();
      await Promise.race([this.changed(), this.#options.clock.sleep(1000, signal)]);
    }
  }

  #see(what: string, take: () => void): void {
    take();
    this.#seen.add(what);
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
