import { createServer, type Socket } from 'node:net';
import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import type { GameServerEvent, InventoryEvent } from '../../shared/events/event.ts';
import type { RefusedEvent } from '../../shared/events/inventory.ts';
import type { Interruption } from '../../shared/interruption/interruption.ts';
import {
  type HelloMessage,
  interruptionMessage,
  linkProtocolVersion,
  type Occupancy,
  type WrapperMessage,
} from '../../shared/link/link-message.ts';
import type { Log } from '../../shared/log.ts';
import type { Instance } from '../../shared/metadata/instance.ts';
import { bindLink } from './bind-link.ts';
import type { Verdict } from './verify-hello.ts';
import { WrapperEvents } from './wrapper-events.ts';
import { WrapperPeer } from './wrapper-peer.ts';

export interface LinkServerOptions {
  /** `@name` or a path. */
  readonly address: string;
  readonly nodeName: string;
  readonly log: Log;
  readonly clock: Clock;
  /** What is known of the instance: wrappers then need not ask the metadata service. */
  readonly instance: () => Instance;
  /** Whether this wrapper is the pod it says it is, and a pod of our node. */
  readonly verify: (hello: HelloMessage, signal: AbortSignal) => Promise<Verdict>;
  /** Takes an event to publish; absent where the agent has no queue. */
  readonly publish?: (event: InventoryEvent) => void;
  readonly listener?: LinkListener;
  readonly random?: () => number;
}

export interface LinkListener {
  readonly onGarbage: () => void;
  readonly onLost: () => void;
  /** A game has ended, as its wrapper says. */
  readonly onTerminated: (podUid: string, exitCode: number | undefined) => void;
}

/** How many wrappers were told, and when: epoch milliseconds. */
export interface Announced {
  readonly told: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** How often wrappers hear that we live. Three times as long is a quarter of the notice that EC2 gives. */
const aliveMs = 10_000;

/** One node runs at most a few hundred pods. */
const maxConnections = 1024;
/** A wrapper says hello as soon as it has its ports; who does not only takes a place. */
const maxSilenceMs = 5000;
/** A wrapper that lost its connection comes back within this; one that does not has died. */
const comeBackMs = 1500;
const verifyAgain: Backoff = { firstMs: 500, maxMs: 30_000 };

/** Tells the wrappers of this node what the agent learns, and takes the events they want published. */
export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #desk: WrapperEvents;
  readonly #peers = new Set<WrapperPeer>();
  #current: { readonly interruption: Interruption; readonly endByMs: number | undefined } | undefined;
  #isListening = false;

  constructor(options: LinkServerOptions) {
    this.#options = options;
    this.#desk = new WrapperEvents(options.publish);
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  get wrappers(): number {
    return [...this.#peers].filter(({ hello }) => hello !== undefined).length;
  }

  /** Of the pods on whose game servers it is known whether anybody plays, by pod uid. Only what a pod has proved to say itself counts. */
  occupancies(): ReadonlyMap<string, Occupancy> {
    const known = new Map<string, Occupancy>();
    for (const { hello, isVerified, occupancy } of this.#peers)
      if (isVerified && hello?.pod_uid !== undefined && occupancy !== undefined) known.set(hello.pod_uid, occupancy);
    return known;
  }

  /** Listens until the signal aborts. Rejects with a FatalError where the address cannot be had. */
  async serve(signal: AbortSignal): Promise<void> {
    const { address, log, clock } = this.#options;
    const server = createServer((socket) => this.#accept(socket, signal));
    server.maxConnections = maxConnections;
    await bindLink(server, address, clock, signal);
    if (signal.aborted) return;
    this.#isListening = true;
    log.info({ link: address }, 'Link listens');
    void this.#showLife(signal);
    await new Promise<void>((resolve) => {
      const stop = () => {
        server.close(() => resolve());
        for (const peer of this.#peers) peer.close();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
    this.#isListening = false;
  }

  /** Tells every wrapper at once, and each that connects later. */
  announce(interruption: Interruption, endByMs: number | undefined): Announced {
    const { clock } = this.#options;
    this.#current = { interruption, endByMs };
    const message = interruptionMessage(interruption, endByMs);
    let firstMs: number | undefined;
    for (const peer of this.#peers) {
      // A write to a Unix socket is in the reader's queue when it returns.
      peer.send(message);
      firstMs ??= clock.now();
    }
    const lastMs = clock.now();
    return { told: this.#peers.size, firstMs: firstMs ?? lastMs, lastMs };
  }

  cancel({ id }: Interruption): number {
    if (this.#current?.interruption.id === id) this.#current = undefined;
    for (const peer of this.#peers) peer.send({ type: 'cancelled', id });
    return this.#peers.size;
  }

  /** Passes on which events the queue has taken. */
  published(ids: readonly string[]): void {
    this.#desk.published(ids);
  }

  refused(events: readonly RefusedEvent[]): void {
    this.#desk.refused(events);
  }

  /** For as long as we can: whoever hears it no more looks after themselves. */
  async #showLife(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(aliveMs, signal).catch(() => {});
      for (const peer of this.#peers) peer.send({ type: 'alive', next_ms: aliveMs });
    }
  }

  #accept(socket: Socket, signal: AbortSignal): void {
    const { log, clock, listener } = this.#options;
    const peer = new WrapperPeer(socket, {
      onMessage: (from, message) => this.#take(from, message),
      onGarbage: (from, reason) => {
        listener?.onGarbage();
        log.warn({ gameServerId: from.hello?.game_server_id, reason }, 'Link connection closed: garbage');
      },
      onClose: (from) => this.#forget(from, signal),
    });
    this.#peers.add(peer);
    this.#welcome(peer);
    void clock
      .sleep(maxSilenceMs, peer.closed)
      .then(() => peer.hello === undefined && peer.close())
      .catch(() => {});
  }

  #take(peer: WrapperPeer, message: WrapperMessage): void {
    switch (message.type) {
      case 'hello':
        if (peer.hello === undefined) void this.#link(peer, message);
        else peer.send({ type: 'error', message: 'Cannot take a second hello' });
        break;
      case 'state':
        peer.occupancy = message.occupancy;
        break;
      case 'event':
        this.#takeEvent(peer, message.event);
        break;
    }
  }

  /** Its welcome is sent again once it is known whether it has proved who it is. */
  async #link(peer: WrapperPeer, hello: HelloMessage): Promise<void> {
    const { log } = this.#options;
    peer.hello = hello;
    const { game_server_id: gameServerId, pod } = hello;
    log.info({ gameServerId, pod }, 'Wrapper linked');
    await this.#verify(peer, hello);
    this.#sendWelcome(peer);
    if (peer.isVerified) log.info({ gameServerId, pod }, 'Wrapper verified');
  }

  /** A game waits for this, so it comes first and to everybody: an interruption is no secret on its node. */
  #welcome(peer: WrapperPeer): void {
    if (this.#current !== undefined) peer.send(interruptionMessage(this.#current.interruption, this.#current.endByMs));
    this.#sendWelcome(peer);
  }

  #sendWelcome(peer: WrapperPeer): void {
    const { nodeName, instance } = this.#options;
    peer.send({
      type: 'welcome',
      version: linkProtocolVersion,
      publishes: peer.isVerified && this.#desk.isOpen,
      node: nodeName,
      instance: instance(),
    });
  }

  /** Resolves when it is decided, or the peer has gone. */
  async #verify(peer: WrapperPeer, hello: HelloMessage): Promise<void> {
    const { verify, clock, log, random = Math.random } = this.#options;
    for (let attempts = 1; !peer.closed.aborted; attempts++) {
      const verdict = await verify(hello, peer.closed);
      if (verdict.kind === 'own-pod' && !this.#isTaken(peer, hello)) peer.isVerified = true;
      else if (verdict.kind === 'stranger')
        log.warn(
          { gameServerId: hello.game_server_id, pod: hello.pod, reason: verdict.reason },
          'Wrapper not verified',
        );
      if (verdict.kind !== 'unknown') return;
      await clock.sleep(backoffMs(verifyAgain, attempts, random), peer.closed).catch(() => {});
    }
  }

  /** A pod that is what it says may still not speak for the game server of another one. */
  #isTaken(peer: WrapperPeer, { game_server_id: id, pod_uid: uid }: HelloMessage): boolean {
    return [...this.#peers].some(
      (other) =>
        other !== peer && other.isVerified && other.hello?.game_server_id === id && other.hello.pod_uid !== uid,
    );
  }

  #takeEvent(peer: WrapperPeer, event: InventoryEvent): void {
    const refusal = this.#desk.take(peer, event);
    if (refusal !== undefined) {
      peer.send({ type: 'error', message: `Cannot publish event: ${refusal}` });
      return;
    }
    const uid = peer.hello?.pod_uid;
    const { data } = event as GameServerEvent;
    if (data.status === 'terminated' && uid !== undefined)
      this.#options.listener?.onTerminated(uid, data.exit_code ?? undefined);
  }

  #forget(peer: WrapperPeer, signal: AbortSignal): void {
    this.#peers.delete(peer);
    this.#desk.forget(peer);
    const { latest } = peer;
    if (latest !== undefined && latest.data.status !== 'terminated') void this.#reportLost(latest, signal);
  }

  /** Unless the wrapper comes back. */
  async #reportLost(latest: GameServerEvent, signal: AbortSignal): Promise<void> {
    const { clock, log, listener } = this.#options;
    const id = latest.data.game_server_id;
    await clock.sleep(comeBackMs, signal).catch(() => {});
    const isBack = [...this.#peers].some(({ hello }) => hello?.game_server_id === id);
    if (isBack || signal.aborted) return;
    log.warn({ gameServerId: id }, 'Game server lost');
    listener?.onLost();
    this.#desk.reportLost(latest, clock.now());
  }
}
