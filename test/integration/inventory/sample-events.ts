import {
  type GameServerData,
  type GameServerEvent,
  type GameServerState,
  gameServerEvent,
  type NodeEvent,
  type NodeState,
  nodeEvent,
} from '../../../shared/events/event.ts';

export interface Sample extends Partial<GameServerData> {
  readonly id: string;
  readonly status: GameServerState;
  readonly sequence: number;
  /** When it happens; now where it is left out. */
  readonly atMs?: number;
  readonly leaseMs?: number;
  readonly isHeartbeat?: boolean;
}

/** An event as a wrapper on `node-1` sends it. */
export function sampleEvent({
  id,
  atMs = Date.now(),
  leaseMs = 30_000,
  isHeartbeat = false,
  ...data
}: Sample): GameServerEvent {
  const { status, node = 'node-1' } = data;
  const hasEnded = status === 'terminated' || status === 'lost';
  const whole: GameServerData = {
    public_hostname: 'ec2-192-0-2-1.eu-west-1.compute.amazonaws.com',
    public_port: 20_000,
    region: 'eu-west-1',
    type: 'game-server',
    game_server_id: id,
    lease_expires_at: hasEnded ? null : new Date(atMs + leaseMs).toISOString(),
    public_ip: '192.0.2.1',
    ports: { SERVER_PORT: { port: 20_000, protocol: 'udp' } },
    zone: 'eu-west-1a',
    node,
    instance_id: `i-${node}`,
    instance_type: 'c7g.xlarge',
    lifecycle: 'spot',
    pod: id,
    namespace: 'arena',
    labels: {},
    players: null,
    deadline: null,
    reason: null,
    exit_code: null,
    ...data,
  };
  return gameServerEvent(isHeartbeat ? 'heartbeat' : status, whole, atMs);
}

/** A spot notice of two minutes, as the agent on `node` tells it. */
export function sampleNodeEvent(
  node: string,
  status: NodeState,
  sequence: number,
  atMs: number = Date.now(),
): NodeEvent {
  return nodeEvent(
    {
      region: 'eu-west-1',
      zone: 'eu-west-1a',
      node,
      instance_id: `i-${node}`,
      instance_type: 'c7g.xlarge',
      lifecycle: 'spot',
      status,
      interruption_id: `i-${node}/spot`,
      kind: 'spot-termination',
      action: 'terminate',
      deadline: status === 'interrupted' || status === 'drained' ? new Date(atMs + 120_000).toISOString() : null,
      sequence,
    },
    atMs,
  );
}
