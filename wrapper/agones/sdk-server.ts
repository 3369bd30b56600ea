import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { type FleetSession, noSession } from '../fleet-session.ts';
import { type GameProcesses, OwnCallers } from './callers/caller-check.ts';
import { answerCall } from './model/answer-call.ts';
import { type GameServerIdentity, gameServerDocument } from './model/game-server-document.ts';
import type { SdkCall } from './model/sdk-call.ts';
import {
  type AnnouncedEnd,
  announceEnd,
  joinFleet,
  newSdkModel,
  nextMoveMs,
  passTime,
  type SdkModel,
  type SdkSeed,
} from './model/sdk-model.ts';
import { type Counts, countsOf, type SdkView, viewOf } from './model/sdk-view.ts';
import { startRestServer } from './rest/rest-server.ts';
import type { SdkEndpoint, SdkListener } from './sdk-endpoint.ts';
import { Snapshot, Watchers } from './watchers.ts';

export interface SdkServerOptions {
  readonly speaks: 'rest' | 'rest+grpc';
  /** Any process on the machine may call. */
  readonly isOpen: boolean;
  readonly identity: GameServerIdentity;
  readonly seed: SdkSeed;
  /** The address for players, once known. */
  readonly address: () => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the game has changed something that matters to others. */
  readonly onChange: (view: SdkView, before: SdkView) => void;
}

/** Agones' SDK server, for one game. */
export interface SdkServer {
  /** Environment variables from which the SDKs find this server. */
  readonly environment: Readonly<Record<string, string>>;
  readonly view: SdkView;
  /** Sets the game once it has started: its calls are answered from then on. */
  supervise(game: GameProcesses): void;
  /** Number of the game's own open watches. */
  readonly watchers: number;
  /** Tells watchers of the end, of a changed end, or of its cancellation. */
  announce(end: AnnouncedEnd | undefined, risk: string | undefined): void;
  /** Tells watchers of the fleet's view: the pod's labels and annotations, and whether there is a session. */
  join(session: FleetSession): void;
  /** Counters and lists, as far as they fit. */
  readonly counts: Counts;
  close(): void;
}

const host = '127.0.0.1';

/** Starts listening on free loopback ports. Throws an Error if it cannot. */
export async function startSdkServer(options: SdkServerOptions): Promise<SdkServer> {
  const { speaks, log } = options;
  const core = new SdkCore(options);
  const listeners: SdkListener[] = [];
  try {
    const rest = await startRestServer({ endpoint: core, log });
    listeners.push(rest);
    const environment: Record<string, string> = { AGONES_SDK_HTTP_HOST: host, AGONES_SDK_HTTP_PORT: String(rest.port) };
    if (speaks === 'rest+grpc') {
      const { startGrpcServer } = await import('./grpc/grpc-server.ts');
      const grpc = await startGrpcServer(core);
      listeners.push(grpc);
      Object.assign(environment, { AGONES_SDK_GRPC_HOST: host, AGONES_SDK_GRPC_PORT: String(grpc.port) });
    }
    return {
      environment,
      get view() {
        return core.view;
      },
      get watchers() {
        return core.watchers;
      },
      supervise: (game) => core.supervise(game),
      announce: (end, risk) => core.announce(end, risk),
      join: (session) => core.join(session),
      get counts() {
        return core.counts;
      },
      close: () => close(core, listeners),
    };
  } catch (error) {
    close(core, listeners);
    throw new Error('Cannot start the SDK server', { cause: error });
  }
}

function close(core: SdkCore, listeners: readonly SdkListener[]): void {
  core.close();
  for (const listener of listeners) listener.close();
}

/** Holds the model and reports each change to watchers and the wrapper. */
class SdkCore implements SdkEndpoint {
  readonly #options: SdkServerOptions;
  readonly #ending = new AbortController();
  readonly #callers: OwnCallers;
  readonly #watchers: Watchers;
  #model: SdkModel;
  #snapshot: Snapshot | undefined;
  #snapshotAddress: string | undefined;
  #alarm: AbortController | undefined;
  #alarmMs = Number.POSITIVE_INFINITY;
  #view: SdkView;
  #session: FleetSession = noSession;

  constructor(options: SdkServerOptions) {
    const { seed, identity, clock, log } = options;
    this.#options = options;
    this.#model = newSdkModel(seed, identity.health, clock.now());
    this.#view = viewOf(this.#model, identity.health);
    this.#callers = new OwnCallers({ clock, log, signal: this.#ending.signal });
    this.#watchers = new Watchers({ current: () => this.#current(), now: clock.now, log });
    this.#setAlarm();
  }

  get view(): SdkView {
    return this.#view;
  }

  call(call: SdkCall): ReturnType<SdkEndpoint['call']> {
    if (call.kind === 'get-game-server') return { reply: this.#current().document };
    const nowMs = this.#options.clock.now();
    const { model, ...answer } = answerCall(this.#passTime(nowMs), call, nowMs);
    this.#turnTo(model);
    return answer;
  }

  watch(...[sink]: Parameters<SdkEndpoint['watch']>): ReturnType<SdkEndpoint['watch']> {
    return this.#watchers.add(sink);
  }

  async isOwn(...[peer]: Parameters<SdkEndpoint['isOwn']>): Promise<boolean> {
    return this.#options.isOpen || this.#callers.isOwn(peer);
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  supervise(game: GameProcesses): void {
    this.#callers.supervise(game);
  }

  announce(end: AnnouncedEnd | undefined, risk: string | undefined): void {
    this.#turnTo(announceEnd(this.#model, end, risk));
  }

  join(session: FleetSession): void {
    const before = this.#session;
    this.#session = session;
    this.#turnTo(joinFleet(this.#model, session, before));
  }

  get counts(): Counts {
    return countsOf(this.#model);
  }

  close(): void {
    this.#ending.abort();
    this.#alarm?.abort();
    this.#watchers.close();
  }

  /** Apply due changes first, so that no call meets an expired reservation. */
  #passTime(nowMs: number): SdkModel {
    return passTime(this.#model, this.#options.identity.health, nowMs);
  }

  #turnTo(model: SdkModel): void {
    if (model === this.#model) return;
    const isNews = model.version !== this.#model.version;
    this.#model = model;
    this.#setAlarm();
    if (!isNews) return;
    this.#snapshot = undefined;
    const before = this.#view;
    this.#view = viewOf(model, this.#options.identity.health);
    this.#watchers.changed();
    this.#options.onChange(this.#view, before);
  }

  #current(): Snapshot {
    const address = this.#options.address();
    if (this.#snapshot === undefined || this.#snapshotAddress !== address) {
      this.#snapshotAddress = address;
      this.#snapshot = new Snapshot(gameServerDocument(this.#model, this.#options.identity, address));
    }
    return this.#snapshot;
  }

  /**
   * Sleeps until something is due. Keep a timer that fires too early, because it does no harm: otherwise a Health()
   * every second would cost a new timer each time.
   */
  #setAlarm(): void {
    const { clock, identity, log } = this.#options;
    const momentMs = nextMoveMs(this.#model, identity.health);
    if (momentMs === undefined || momentMs >= this.#alarmMs) return;
    this.#alarm?.abort();
    const alarm = new AbortController();
    this.#alarm = alarm;
    this.#alarmMs = momentMs;
    const ring = () => {
      this.#alarmMs = Number.POSITIVE_INFINITY;
      this.#turnTo(this.#passTime(clock.now()));
      this.#setAlarm();
    };
    clock.sleep(Math.ceil(momentMs - clock.now()), alarm.signal).then(ring, (err) => {
      if (!alarm.signal.aborted) log.error({ err }, 'SDK server timer failed');
    });
  }
}
