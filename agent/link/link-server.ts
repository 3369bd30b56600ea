import { createServer, type Socket } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import type { GameServerEvent, InventoryEvent } from '../../shared/events/event.ts';
import type { RefusedEvent } from '../../shared/events/inventory.ts';
import type { Interruption } from '../../shared/interruption/interruption.ts';
import {
  type AliveMessage,
  encodeLine,
  type HelloMessage,
  interruptionMessage,
  linkProtocolVersion,
  type Occupancy,
  type StateMessage,
  type WrapperMessage,
} from '../../shared/link/link-message.ts';
import type { Log } from '../../shared/log.ts';
import type { Instance } from '../../shared/metadata/instance.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import { throttledLog } from '../../shared/throttled-log.ts';
import { bindLink } from './bind-link.ts';
import type { Verdict } from './verify-hello.ts';
import { WrapperEvents } from './wrapper-events.ts';
import { standings, WrapperPeer } from './wrapper-peer.ts';

export interface LinkServerOptions {
  /** Each is `@name` or a path. */
  readonly addresses: readonly string[];
  readonly nodeName: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Known facts about the instance, so that wrappers need not query the metadata service. */
  readonly instance: () => Instance;
  /** Whether this wrapper is the pod that it claims to be, on our node. */
  readonly verify: (hello: HelloMessage, signal: AbortSignal) => Promise<Verdict>;
  /** Whether it names a pod of our node. This check needs no API call. */
  readonly namesPodOfNode: (hello: HelloMessage) => boolean;
  /** Accepts an event for publishing; undefined: the agent has no queue. */
  readonly publish?: (event: InventoryEvent) => void;
  readonly listener?: LinkListener;
  readonly random?: () => number;
}

export interface LinkListener {
  readonly onGarbage: () => void;
  readonly onLost: () => void;
  /** A wrapper reported the end of its game. */
  readonly onTerminated: (podUid: string, exitCode: number | undefined) => void;
}

/** A wrapper that has proved its pod's identity. */
export interface VerifiedWrapper {
  readonly hello: HelloMessage;
  readonly state: StateMessage | undefined;
  readonly peer: Pick<WrapperPeer, 'send'>;
}

/** How many wrappers were notified, and when: epoch milliseconds. Strangers are notified last and not counted. */
export interface Announced {
  readonly told: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Interval of heartbeats to wrappers. Three intervals are a quarter of EC2's two minutes. */
const aliveMs = 10_000;
const alive: AliveMessage = { type: 'alive', next_ms: aliveMs };

/** One node runs at most a few hundred pods. */
const maxConnections = 1024;
/** A wrapper says hello as soon as it has its ports. */
const maxSilenceMs = 5000;
/** Enough for all wrappers of a node to link again, and to see what a stranger does. */
const maxLines = { wrappers: 500, strangers: 10, periodMs: 60_000 } as const;
/** A wrapper that lost its connection reconnects within this time, unless it has died. */
const comeBackMs = 1500;
const verifyAgain: Backoff = { firstMs: 500, maxMs: 30_000 };

/** Notifies the wrappers of this node, and accepts their events for publishing. */
export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #desk: WrapperEvents;
  readonly #peers = new Set<WrapperPeer>();
  #current: { readonly interruption: Interruption; readonly endByMs: number | undefined } | undefined;
  readonly #wrapperLog: Log;
  readonly #strangerLog: Log;
  readonly #listening = new Set<string>();
  #change = Promise.withResolvers<void>();

  constructor(options: LinkServerOptions) {
    this.#options = options;
    this.#desk = new WrapperEvents(options.publish);
    const { periodMs } = maxLines;
    const upMs = () => performance.now();
    this.#wrapperLog = throttledLog(options.log, { max: maxLines.wrappers, periodMs, upMs });
    this.#strangerLog = throttledLog(options.log, { max: maxLines.strangers, periodMs, upMs });
  }

  /** Addresses on which it does not listen (yet). */
  get missingAddresses(): readonly string[] {
    return this.#options.addresses.filter((address) => !this.#listening.has(address));
  }

  get wrappers(): number {
    return this.#ofWrappers().length;
  }

  /** Whether game servers have players, by pod uid, where known. Only reports of verified wrappers count. */
  occupancies(): ReadonlyMap<string, Occupancy> {
    const known = new Map<string, Occupancy>();
    for (const { hello, isVerified, occupancy } of this.#peers)
      if (isVerified && hello?.pod_uid !== undefined && occupancy !== undefined) known.set(hello.pod_uid, occupancy);
    return known;
  }

  /** By pod uid. */
  verified(): ReadonlyMap<string, VerifiedWrapper> {
    const found = new Map<string, VerifiedWrapper>();
    for (const peer of this.#peers) {
      const { hello, isVerified, state } = peer;
      if (isVerified && hello?.pod_uid !== undefined) found.set(hello.pod_uid, { hello, state, peer });
    }
    return found;
  }

  /** Resolves when the next wrapper is verified, reports its state or disconnects. */
  changed(): Promise<void> {
    return this.#change.promise;
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /** Listens on each address as soon as it is free, until the signal aborts. */
  async serve(signal: AbortSignal): Promise<void> {
    void this.#showLife(signal);
    await Promise.all(this.#options.addresses.map((address) => this.#listen(address, signal)));
  }

  async #listen(address: string, signal: AbortSignal): Promise<void> {
    const { log, clock } = this.#options;
    const server = createServer((socket) => this.#accept(socket, signal));
    await bindLink(server, address, { clock, log }, signal);
    if (signal.aborted) return;
    this.#listening.add(address);
    log.info({ link: address }, 'Link server listening');
    await new Promise<void>((resolve) => {
      const stop = () => {
        server.close(() => resolve());
        for (const peer of this.#peers) peer.close();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
    this.#listening.delete(address);
  }

  /** Notifies everyone at once, the wrappers of this node first, and later each newcomer. */
  announce(interruption: Interruption, endByMs: number | undefined): Announced {
    const { clock } = this.#options;
    this.#current = { interruption, endByMs };
    const line = encodeLine(interruptionMessage(interruption, endByMs));
    const wrappers = this.#ofWrappers();
    let firstMs: number | undefined;
    for (const peer of wrappers) {
      // A write to a Unix socket is in the reader's queue when the call returns.
      peer.sendLine(line);
      firstMs ??= clock.now();
    }
    const lastMs = clock.now();
    for (const peer of this.#peers) if (!peer.isWrapper) peer.sendLine(line);
    return { told: wrappers.length, firstMs: firstMs ?? lastMs, lastMs };
  }

  cancel({ id }: Interruption): number {
    if (this.#current?.interruption.id === id) this.#current = undefined;
    for (const peer of this.#peers) peer.send({ type: 'cancelled', id });
    return this.wrappers;
  }

  /** Tells wrappers which events the queue has accepted. */
  published(ids: readonly string[]): void {
    this.#desk.published(ids);
  }

  refused(events: readonly RefusedEvent[]): void {
    this.#desk.refused(events);
  }

  /** Sends heartbeats. A wrapper that misses them acts on its own. */
  async #showLife(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(aliveMs, signal).catch(() => {});
      for (const peer of this.#peers) peer.send(alive);
    }
  }

  #accept(socket: Socket, signal: AbortSignal): void {
    const { clock, listener } = this.#options;
    if (!this.#makeRoom()) {
      socket.destroy();
      return;
    }
    const peer = new WrapperPeer(socket, {
      onMessage: (from, message) => this.#take(from, message),
      onGarbage: (from, reason) => {
        listener?.onGarbage();
        const gameServerId = from.hello?.game_server_id;
        this.#strangerLog.warn({ gameServerId, reason }, 'Link connection closed: garbage');
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

  #ofWrappers(): readonly WrapperPeer[] {
    return [...this.#peers].filter(({ isWrapper }) => isWrapper);
  }

  /**
   * When the link is full, closes the connection with the lowest standing, the oldest first. False: all are verified.
   */
  #makeRoom(): boolean {
    if (this.#peers.size < maxConnections) return true;
    const peers = [...this.#peers];
    for (const standing of standings) {
      if (standing === 'verified') break;
      const leaves = peers.find((peer) => peer.standing === standing);
      if (leaves === undefined) continue;
      this.#strangerLog.warn({ standing, max: maxConnections }, 'Link full: connection closed for a new one');
      leaves.close();
      // Its close event comes later. A burst of newcomers must not all wait for it.
      this.#peers.delete(leaves);
      return true;
    }
    return false;
  }

  #take(peer: WrapperPeer, message: WrapperMessage): void {
    switch (message.type) {
      case 'hello':
        if (peer.hello === undefined) void this.#link(peer, message);
        else peer.send({ type: 'error', message: 'Cannot take a second hello' });
        break;
      case 'state':
        peer.occupancy = message.occupancy;
        peer.state = message;
        this.#changed();
        break;
      case 'event':
        this.#takeEvent(peer, message.event);
        break;
    }
  }

  /** Sends the welcome again once the wrapper is verified. */
  async #link(peer: WrapperPeer, hello: HelloMessage): Promise<void> {
    peer.hello = hello;
    const { game_server_id: gameServerId, pod } = hello;
    this.#wrapperLog.info({ gameServerId, pod }, 'Wrapper linked');
    await this.#verify(peer, hello);
    this.#sendWelcome(peer);
    if (!peer.isVerified) return;
    this.#wrapperLog.info({ gameServerId, pod }, 'Wrapper verified');
    this.#changed();
  }

  /** Sent first and to everyone, because a game's start waits for it. An interruption is no secret on its node. */
  #welcome(peer: WrapperPeer): void {
    if (this.#current !== undefined) peer.send(interruptionMessage(this.#current.interruption, this.#current.endByMs));
    this.#sendWelcome(peer);
    // Without the heartbeat, a wrapper would wait forever for an agent that freezes before its first one.
    peer.send(alive);
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

  /** Resolves when it is decided, or the peer has disconnected. */
  async #verify(peer: WrapperPeer, hello: HelloMessage): Promise<void> {
    const { verify, namesPodOfNode, clock, random } = this.#options;
    const retries = new RetryPause({ backoff: verifyAgain, clock, random });
    while (!peer.closed.aborted) {
      peer.standing = namesPodOfNode(hello) ? 'pod' : 'unknown';
      const verdict = await verify(hello, peer.closed);
      const { game_server_id: gameServerId, pod } = hello;
      if (verdict.kind === 'own-pod' && !this.#isTaken(peer, hello)) peer.standing = 'verified';
      else if (verdict.kind === 'stranger') {
        peer.standing = 'stranger';
        this.#strangerLog.warn({ gameServerId, pod, reason: verdict.reason }, 'Wrapper not verified');
      }
      if (verdict.kind !== 'unknown') return;
      retries.failed();
      await retries.wait(peer.closed);
    }
  }

  /** A verified pod must not speak for another pod's game server. */
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
    this.#changed();
    const { latest } = peer;
    if (latest !== undefined && latest.data.status !== 'terminated') void this.#reportLost(latest, signal);
  }

  /** Unless the wrapper reconnects. */
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
