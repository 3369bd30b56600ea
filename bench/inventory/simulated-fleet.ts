import {
  type GameServerData,
  type GameServerState,
  gameServerEvent,
  type InventoryEvent,
  type NodeState,
  nodeEvent,
} from '../../shared/events/event.ts';

export interface FleetSize {
  readonly nodes: number;
  readonly gameServersPerNode: number;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
}

interface SimulatedServer {
  readonly id: string;
  readonly node: number;
  readonly port: number;
  status: GameServerState;
  sequence: number;
  nextHeartbeatMs: number;
}

/** The next step of a game server on a node that is taken. */
interface Planned {
  readonly atMs: number;
  readonly event: (nowMs: number) => InventoryEvent[];
}

/**
 * A fleet that sends events as its agents and wrappers would: heartbeats all the time, and in a storm node notices,
 * game servers that end at once or after their match, and replacements on new nodes. Times are milliseconds since the
 * start.
 */
export class SimulatedFleet {
  readonly #size: FleetSize;
  readonly #servers = new Map<string, SimulatedServer>();
  readonly #plan: Planned[] = [];
  #planned = 0;
  #generation = 0;

  constructor(size: FleetSize) {
    this.#size = size;
  }

  /** The first events of every game server: ready, or in a match. */
  start(): InventoryEvent[] {
    const events: InventoryEvent[] = [];
    for (let node = 0; node < this.#size.nodes; node++)
      for (let index = 0; index < this.#size.gameServersPerNode; index++) events.push(...this.#bear(node, index, 0));
    return events;
  }

  /** Plans that this share of the nodes is taken, spread over the time. */
  planStorm({ share, fromMs, overMs }: { share: number; fromMs: number; overMs: number }): void {
    const taken = Math.floor(this.#size.nodes * share);
    for (let index = 0; index < taken; index++) this.#planNode(index, fromMs + (overMs * index) / taken);
    this.#plan.sort((one, other) => one.atMs - other.atMs);
  }

  /** The fleet's events since the last call, up to `nowMs`. */
  *until(nowMs: number): Generator<InventoryEvent> {
    for (; (this.#plan[this.#planned]?.atMs ?? Infinity) <= nowMs; this.#planned++)
      yield* this.#plan[this.#planned]?.event(nowMs) ?? [];
    for (const server of this.#servers.values()) {
      if (server.nextHeartbeatMs > nowMs) continue;
      // As the wrapper does: up to a fifth early, so that the fleet's heartbeats do not coincide.
      server.nextHeartbeatMs = nowMs + this.#size.heartbeatMs * (0.8 + 0.2 * Math.random());
      yield this.#say(server, 'heartbeat');
    }
  }

  /** IDs of the living game servers, by status. */
  living(): ReadonlyMap<string, GameServerState> {
    return new Map([...this.#servers.values()].map(({ id, status }) => [id, status]));
  }

  #planNode(node: number, atMs: number): void {
    const at = (delayMs: number, event: Planned['event']): void =>
      void this.#plan.push({ atMs: atMs + delayMs, event });
    at(0, () => [this.#nodeEvent(node, 'interrupted', 1)]);
    const servers = [...this.#servers.values()].filter((server) => server.node === node);
    for (const [index, server] of servers.entries()) {
      const isPlaying = server.status === 'allocated';
      at(50 + index * 5, () => [this.#become(server, 'terminating')]);
      // Empty ones end at once, matches within the time of the notice.
      at(isPlaying ? 20_000 + Math.random() * 80_000 : 1000 + Math.random() * 2000, () => {
        const last = this.#become(server, 'terminated');
        this.#servers.delete(server.id);
        return [last];
      });
      at(30_000 + Math.random() * 5000, (nowMs) => this.#bear(this.#size.nodes + node, index, nowMs));
    }
    at(105_000, () => [this.#nodeEvent(node, 'drained', 2)]);
  }

  #bear(node: number, index: number, nowMs: number): InventoryEvent[] {
    const server: SimulatedServer = {
      id: `arena-${node}-${index}-${(this.#generation++).toString(36)}`,
      node,
      port: 20_000 + 2 * index,
      status: 'starting',
      sequence: 0,
      nextHeartbeatMs: nowMs + this.#size.heartbeatMs * Math.random(),
    };
    this.#servers.set(server.id, server);
    return [this.#become(server, 'starting'), this.#become(server, index % 2 === 0 ? 'ready' : 'allocated')];
  }

  #become(server: SimulatedServer, status: GameServerState): InventoryEvent {
    server.status = status;
    return this.#say(server, status);
  }

  #say(server: SimulatedServer, name: GameServerState | 'heartbeat'): InventoryEvent {
    const nowMs = Date.now();
    const { id, node, port, status } = server;
    const isGoing = status === 'terminating' || status === 'terminated';
    const data: GameServerData = {
      public_hostname: `ec2-198-51-${node >> 8}-${node & 255}.eu-west-1.compute.amazonaws.com`,
      public_port: port,
      status,
      type: 'arena',
      game_server_id: id,
      sequence: ++server.sequence,
      lease_expires_at: status === 'terminated' ? null : new Date(nowMs + this.#size.leaseMs).toISOString(),
      public_ip: `198.51.${node >> 8}.${node & 255}`,
      ports: { SERVER_PORT: { port, protocol: 'udp' }, RCON_PORT: { port: port + 1, protocol: 'tcp' } },
      ...this.#placement(node),
      pod: id,
      namespace: 'arena',
      labels: { map: 'dust2', mode: 'ranked' },
      players: status === 'allocated' ? server.sequence % 16 : 0,
      deadline: isGoing ? new Date(nowMs + 120_000).toISOString() : null,
      reason: isGoing ? 'spot-termination' : null,
      exit_code: status === 'terminated' ? 0 : null,
    };
    return gameServerEvent(name, data, nowMs);
  }

  #nodeEvent(node: number, status: NodeState, sequence: number): InventoryEvent {
    const nowMs = Date.now();
    return nodeEvent(
      {
        ...this.#placement(node),
        status,
        interruption_id: `i-${node}/spot-termination`,
        kind: 'spot-termination',
        action: 'terminate',
        deadline: new Date(nowMs + 120_000).toISOString(),
        sequence,
      },
      nowMs,
    );
  }

  #placement(
    node: number,
  ): Pick<GameServerData, 'region' | 'zone' | 'node' | 'instance_id' | 'instance_type' | 'lifecycle'> {
    return {
      region: 'eu-west-1',
      zone: `eu-west-1${'abc'[node % 3]}`,
      node: `ip-10-0-${node >> 8}-${node & 255}.eu-west-1.compute.internal`,
      instance_id: `i-${node.toString(16).padStart(17, '0')}`,
      instance_type: 'c7g.4xlarge',
      lifecycle: 'spot',
    };
  }
}
