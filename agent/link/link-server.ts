import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { Interruption } from '../../shared/interruption/interruption.ts';
import { type GameServerEvent, gameServerEvent, type InventoryEvent } from '../../shared/inventory/event.ts';
import type { RefusedEvent } from '../../shared/inventory/inventory.ts';
import { checkInventoryEvent } from '../../shared/inventory/parse-event.ts';
import { linkPath } from '../../shared/link/link-address.ts';
import {
  type HelloMessage,
  interruptionMessage,
  linkProtocolVersion,
  type WrapperMessage,
} from '../../shared/link/link-message.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { Instance } from '../../shared/metadata/instance.ts';
import { WrapperPeer } from './wrapper-peer.ts';

export interface LinkServerOptions {
  /** `@name` or a path: see {@link linkPath}. */
  readonly address: string;
  readonly nodeName: string;
  readonly log: Log;
  readonly clock: Clock;
  /** What is known of the instance: wrappers then need not ask the metadata service. */
  readonly instance: () => Instance;
  /** Whether this wrapper is a pod of our node. */
  readonly isOwnPod: (hello: HelloMessage) => boolean;
  /** Takes an event to publish; absent where the agent has no queue. */
  readonly publish?: (event: InventoryEvent) => void;
}

/** One node runs at most a few hundred pods. */
const mostConnections = 1024;
/** A wrapper sends an event a transition and a heartbeat now and then. */
const mostUnpublished = 100;
/** A wrapper that lost its connection comes back within this; one that does not has died. */
const comeBackMs = 1500;
/** An agent that is being replaced frees the address within this. */
const longestBindMs = 10_000;

/** Tells the wrappers of this node what the agent learns, and takes the events they want published. */
export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #peers = new Set<WrapperPeer>();
  readonly #owners = new Map<string, WrapperPeer>();
  #current: { readonly interruption: Interruption; readonly endByMs: number | undefined } | undefined;

  constructor(options: LinkServerOptions) {
    this.#options = options;
  }

  /** Listens until the signal aborts. Rejects with a {@link FatalError} where the address cannot be had. */
  async serve(signal: AbortSignal): Promise<void> {
    const { address, log } = this.#options;
    const server = createServer((socket) => this.#accept(socket, signal));
    server.maxConnections = mostConnections;
    await this.#bind(server, signal);
    if (signal.aborted) return;
    log.info({ link: address }, 'Link listens');
    await new Promise<void>((resolve) => {
      const stop = () => {
        server.close(() => resolve());
        for (const peer of this.#peers) peer.close();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  /** Tells every wrapper at once, and each that connects later. Returns how many were told. */
  announce(interruption: Interruption, endByMs: number | undefined): number {
    this.#current = { interruption, endByMs };
    return this.#tellAll((peer) => peer.send(interruptionMessage(interruption, endByMs)));
  }

  cancel({ id }: Interruption): number {
    this.#current = undefined;
    return this.#tellAll((peer) => peer.send({ type: 'cancelled', id }));
  }

  /** Passes on which events the queue has taken. */
  published(ids: readonly string[]): void {
    for (const [peer, owned] of this.#byOwner(ids)) peer.send({ type: 'published', ids: owned });
  }

  refused(events: readonly RefusedEvent[]): void {
    for (const [peer, owned] of this.#byOwner(events.map(({ id }) => id)))
      peer.send({ type: 'refused', events: events.filter(({ id }) => owned.includes(id)) });
  }

  async #bind(server: Server, signal: AbortSignal): Promise<void> {
    const { address } = this.#options;
    const giveUpMs = this.#options.clock.now() + longestBindMs;
    while (!signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<Error | undefined>();
      server.once('error', resolve);
      server.listen({ path: linkPath(address) }, () => resolve(undefined));
      const error = await promise;
      server.removeAllListeners('error');
      if (error === undefined) return;
      const isBusy = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!isBusy || this.#options.clock.now() > giveUpMs)
        throw new FatalError(`Cannot listen on link ${address}: ${errorText(error)}`, {
          status: exitStatus.unavailable,
          cause: error,
        });
      await this.#options.clock.sleep(100, signal).catch(() => {});
    }
  }

  #accept(socket: Socket, signal: AbortSignal): void {
    const peer = new WrapperPeer(socket, {
      onMessage: (from, message) => this.#take(from, message),
      onGarbage: (from, reason) =>
        this.#options.log.warn({ gameServerId: from.hello?.game_server_id, reason }, 'Link connection closed: garbage'),
      onClose: (from) => this.#forget(from, signal),
    });
    this.#peers.add(peer);
  }

  #take(peer: WrapperPeer, message: WrapperMessage): void {
    switch (message.type) {
      case 'hello':
        this.#greet(peer, message);
        break;
      case 'state':
        break;
      case 'event':
        this.#takeEvent(peer, message.event);
        break;
    }
  }

  #greet(peer: WrapperPeer, hello: HelloMessage): void {
    const { isOwnPod, publish, nodeName, log } = this.#options;
    peer.hello = hello;
    peer.isVerified = isOwnPod(hello);
    const publishes = peer.isVerified && publish !== undefined;
    peer.send({
      type: 'welcome',
      version: linkProtocolVersion,
      publishes,
      node: nodeName,
      instance: this.#options.instance(),
    });
    if (this.#current !== undefined) peer.send(interruptionMessage(this.#current.interruption, this.#current.endByMs));
    const { game_server_id: gameServerId, pod } = hello;
    log.info({ gameServerId, pod, verified: peer.isVerified }, 'Wrapper linked');
  }

  #takeEvent(peer: WrapperPeer, event: InventoryEvent): void {
    const refusal = this.#refusalOf(peer, event);
    if (refusal !== undefined) {
      peer.send({ type: 'error', message: `Cannot publish event: ${refusal}` });
      return;
    }
    peer.latest = event as GameServerEvent;
    peer.unpublished.add(event.id);
    this.#owners.set(event.id, peer);
    this.#options.publish?.(event);
  }

  #refusalOf(peer: WrapperPeer, event: InventoryEvent): string | undefined {
    if (this.#options.publish === undefined) return 'the agent has no queue';
    if (!peer.isVerified) return 'the wrapper is no pod of this node';
    if (peer.unpublished.size >= mostUnpublished) return 'too many events wait';
    const checked = checkInventoryEvent(event);
    if ('refused' in checked) return checked.refused;
    const isOwn = 'game_server_id' in event.data && event.data.game_server_id === peer.hello?.game_server_id;
    return isOwn ? undefined : 'the event is not about this game server';
  }

  #forget(peer: WrapperPeer, signal: AbortSignal): void {
    this.#peers.delete(peer);
    for (const id of peer.unpublished) this.#owners.delete(id);
    const { latest } = peer;
    if (latest === undefined || latest.data.status === 'terminated') return;
    void this.#reportLost(latest, signal);
  }

  /** Speaks for a wrapper that died without a word, unless it comes back. */
  async #reportLost(latest: GameServerEvent, signal: AbortSignal): Promise<void> {
    const id = latest.data.game_server_id;
    await this.#options.clock.sleep(comeBackMs, signal).catch(() => {});
    const isBack = [...this.#peers].some(({ hello }) => hello?.game_server_id === id);
    if (isBack || signal.aborted) return;
    this.#options.log.warn({ gameServerId: id }, 'Game server lost');
    const data = {
      ...latest.data,
      status: 'lost',
      sequence: latest.data.sequence + 1,
      lease_expires_at: null,
      reason: 'wrapper-gone',
    } as const;
    this.#options.publish?.(gameServerEvent('lost', data, this.#options.clock.now()));
  }

  #byOwner(ids: readonly string[]): Map<WrapperPeer, string[]> {
    const owned = new Map<WrapperPeer, string[]>();
    for (const id of ids) {
      const peer = this.#owners.get(id);
      if (peer === undefined) continue;
      this.#owners.delete(id);
      peer.unpublished.delete(id);
      owned.set(peer, [...(owned.get(peer) ?? []), id]);
    }
    return owned;
  }

  #tellAll(tell: (peer: WrapperPeer) => void): number {
    const greeted = [...this.#peers].filter(({ hello }) => hello !== undefined);
    for (const peer of greeted) tell(peer);
    return greeted.length;
  }
}
