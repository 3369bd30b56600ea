import fc from 'fast-check';
import {
  type GameServerData,
  type GameServerEvent,
  type GameServerState,
  gameServerEvent,
  gameServerStates,
  type InventoryEvent,
  type NodeData,
  type NodeEvent,
  nodeEvent,
  nodeStates,
} from '../../../shared/events/event.ts';
import { interruptionActions, interruptionKinds } from '../../../shared/interruption/interruption.ts';

const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { nil: null });
const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ minLength: 1, maxLength, unit: 'grapheme' });
export const instants: fc.Arbitrary<string> = fc
  .integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) })
  .map((ms) => new Date(ms).toISOString());

const placement = {
  region: orNull(fc.constantFrom('eu-west-1', 'us-east-2')),
  zone: orNull(fc.constantFrom('eu-west-1a', 'us-east-2b')),
  node: orNull(text(20)),
  instance_id: orNull(fc.stringMatching(/^i-[0-9a-f]{8,17}$/)),
  instance_type: orNull(fc.constantFrom('c7g.xlarge', 'm6a.large')),
  lifecycle: orNull(fc.constantFrom('spot', 'on-demand')),
};

export const gameServerData: fc.Arbitrary<GameServerData> = fc.record({
  ...placement,
  public_hostname: orNull(text(60)),
  public_port: orNull(fc.integer({ min: 1, max: 65_535 })),
  status: fc.constantFrom(...gameServerStates),
  type: text(20),
  game_server_id: fc.stringMatching(/^[\w.:-]{1,128}$/),
  sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  lease_expires_at: orNull(instants),
  public_ip: orNull(fc.ipV4()),
  ports: fc.dictionary(
    fc.stringMatching(/^[\w.-]{1,64}$/),
    fc.record({ port: fc.integer({ min: 1, max: 65_535 }), protocol: fc.constantFrom('udp', 'tcp', 'udp+tcp') }),
    { maxKeys: 5 },
  ),
  pod: orNull(text(30)),
  namespace: orNull(text(20)),
  labels: fc.dictionary(text(30), fc.string({ maxLength: 60 }), { maxKeys: 5 }),
  players: orNull(fc.integer({ min: 0, max: 1_000_000 })),
  deadline: orNull(instants),
  reason: orNull(text(30)),
  exit_code: orNull(fc.integer({ min: 0, max: 255 })),
});

const nodeData: fc.Arbitrary<NodeData> = fc
  .record({
    ...placement,
    status: fc.constantFrom(...nodeStates),
    interruption_id: text(40),
    kind: fc.constantFrom(...interruptionKinds),
    action: fc.constantFrom(...interruptionActions),
    deadline: orNull(instants),
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  })
  .map((data) => (data.node === null && data.instance_id === null ? { ...data, node: 'n1' } : data));

const isEnded = (status: GameServerState): boolean => status === 'terminated' || status === 'lost';

export const gameServerEvents: fc.Arbitrary<GameServerEvent> = fc
  .record({ data: gameServerData, isHeartbeat: fc.boolean(), time: fc.nat(), lease: instants })
  .map(({ data, isHeartbeat, time, lease }) => {
    if (isEnded(data.status)) return gameServerEvent(data.status, data, time);
    return gameServerEvent(isHeartbeat ? 'heartbeat' : data.status, { ...data, lease_expires_at: lease }, time);
  });

export const nodeEvents: fc.Arbitrary<NodeEvent> = fc
  .record({ data: nodeData, time: fc.nat() })
  .map(({ data, time }) => nodeEvent(data, time));

export const inventoryEvents: fc.Arbitrary<InventoryEvent> = fc.oneof(gameServerEvents, nodeEvents);
