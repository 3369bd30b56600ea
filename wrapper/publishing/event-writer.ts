import { type GameServerEvent, type GameServerState, gameServerEvent } from '../../shared/events/event.ts';
import { instant } from '../../shared/interruption/interruption.ts';
import type { Instance } from '../../shared/metadata/instance.ts';
import type { LeasedPort } from '../ports/port-lease.ts';

/** Facts that never change in a game server's life. */
export interface GameServerIdentity {
  readonly gameServerId: string;
  readonly type: string;
  readonly ports: readonly LeasedPort[];
  readonly pod: string | undefined;
  readonly namespace: string | undefined;
}

/** The game server's location, once known. */
export interface Placement {
  readonly instance: Instance;
  readonly node: string | undefined;
  readonly publicHostname: string | undefined;
}

/** The rest of an event's content. */
export interface Report {
  readonly name: GameServerState | 'heartbeat';
  readonly status: GameServerState;
  readonly labels: Readonly<Record<string, string>>;
  readonly players: number | null;
  readonly deadlineMs: number | undefined;
  readonly reason: string | undefined;
  readonly exitCode: number | undefined;
}

export interface EventWriterOptions {
  readonly identity: GameServerIdentity;
  readonly leaseMs: number;
  readonly now: () => number;
  readonly emit: (event: GameServerEvent) => void;
}

type Draft = (placement: Placement) => GameServerEvent;

/**
 * Turns reports into events, in sequence. Events wait until the placement is known, because consumers rely on one
 * `source` for a game server's whole life.
 */
export class EventWriter {
  readonly #options: EventWriterOptions;
  #sequence = 0;
  #placement: Placement | undefined;
  #drafts: Draft[] = [];

  constructor(options: EventWriterOptions) {
    this.#options = options;
  }

  report(report: Report): void {
    const draft = this.#draft(report, ++this.#sequence, this.#options.now());
    if (this.#placement === undefined) this.#drafts.push(draft);
    else this.#options.emit(draft(this.#placement));
  }

  /** Only the first placement counts. */
  place(placement: Placement): void {
    if (this.#placement !== undefined) return;
    this.#placement = placement;
    for (const draft of this.#drafts) this.#options.emit(draft(placement));
    this.#drafts = [];
  }

  #draft(report: Report, sequence: number, nowMs: number): Draft {
    const { identity, leaseMs } = this.#options;
    const [first] = identity.ports;
    return ({ instance, node, publicHostname }) =>
      gameServerEvent(
        report.name,
        {
          public_hostname: publicHostname ?? null,
          public_port: first?.port ?? null,
          region: instance.region ?? null,
          status: report.status,
          type: identity.type,
          game_server_id: identity.gameServerId,
          sequence,
          lease_expires_at: report.status === 'terminated' ? null : instant(nowMs + leaseMs),
          public_ip: instance.publicIpv4 ?? null,
          ports: Object.fromEntries(identity.ports.map(({ name, port, protocol }) => [name, { port, protocol }])),
          zone: instance.zone ?? null,
          node: node ?? null,
          instance_id: instance.instanceId ?? null,
          instance_type: instance.instanceType ?? null,
          lifecycle: instance.lifecycle ?? null,
          pod: identity.pod ?? null,
          namespace: identity.namespace ?? null,
          labels: report.labels,
          players: report.players,
          deadline: report.deadlineMs === undefined ? null : instant(report.deadlineMs),
          reason: report.reason ?? null,
          exit_code: report.exitCode ?? null,
        },
        nowMs,
      );
  }
}

export interface AddressSources {
  readonly advertise: string | undefined;
  readonly instance: Instance;
  /** The node's address from the downward API. */
  readonly nodeAddress: string | undefined;
}

/**
 * The address for players: the first known one, from an explicit setting down to an address that only this network can
 * reach.
 */
export function advertisedAddress({ advertise, instance, nodeAddress }: AddressSources): string | undefined {
  return (
    advertise ?? instance.publicHostname ?? instance.publicIpv4 ?? nodeAddress ?? instance.ipv6 ?? instance.localIpv4
  );
}
