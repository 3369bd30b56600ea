import { type GameServerEvent, gameServerEvent, type InventoryEvent } from '../../shared/events/event.ts';
import type { RefusedEvent } from '../../shared/events/inventory.ts';
import { checkInventoryEvent } from '../../shared/events/parse-event.ts';
import type { WrapperPeer } from './wrapper-peer.ts';

/** A wrapper sends one event per transition, and occasional heartbeats. */
const maxUnpublished = 100;

/** Accepts the events of wrappers, and tells each the outcome of its own. */
export class WrapperEvents {
  readonly #publish: ((event: InventoryEvent) => void) | undefined;
  readonly #owners = new Map<string, WrapperPeer>();

  /** `publish` is undefined if the agent has no queue. */
  constructor(publish: ((event: InventoryEvent) => void) | undefined) {
    this.#publish = publish;
  }

  get isOpen(): boolean {
    return this.#publish !== undefined;
  }

  /** Returns why the event is rejected; undefined: it is accepted. */
  take(peer: WrapperPeer, event: InventoryEvent): string | undefined {
    const refusal = this.#refusalOf(peer, event);
    if (refusal !== undefined) return refusal;
    peer.latest = event as GameServerEvent;
    peer.unpublished.add(event.id);
    this.#owners.set(event.id, peer);
    this.#publish?.(event);
    return undefined;
  }

  /** Reports the loss of a game server whose wrapper died silently. */
  reportLost({ data }: GameServerEvent, nowMs: number): void {
    const lost = {
      ...data,
      status: 'lost',
      sequence: data.sequence + 1,
      lease_expires_at: null,
      reason: 'wrapper-gone',
    } as const;
    this.#publish?.(gameServerEvent('lost', lost, nowMs));
  }

  published(ids: readonly string[]): void {
    for (const [peer, owned] of this.#byOwner(ids)) peer.send({ type: 'published', ids: owned });
  }

  refused(events: readonly RefusedEvent[]): void {
    for (const [peer, owned] of this.#byOwner(events.map(({ id }) => id)))
      peer.send({ type: 'refused', events: events.filter(({ id }) => owned.includes(id)) });
  }

  /** The peer has disconnected, so it no longer needs the outcome of its events. */
  forget(peer: WrapperPeer): void {
    for (const id of peer.unpublished) if (this.#owners.get(id) === peer) this.#owners.delete(id);
  }

  #refusalOf({ isVerified, unpublished, hello }: WrapperPeer, event: InventoryEvent): string | undefined {
    if (!this.isOpen) return 'the agent has no queue';
    if (!isVerified) return 'the wrapper has not proved which pod it is';
    if (unpublished.size >= maxUnpublished) return 'too many events wait';
    const checked = checkInventoryEvent(event);
    if ('refused' in checked) return checked.refused;
    const { data } = event;
    if (!('game_server_id' in data) || data.game_server_id !== hello?.game_server_id)
      return 'the event is not about this game server';
    const isOwnPod = data.pod === (hello.pod ?? null) && data.namespace === (hello.namespace ?? null);
    return isOwnPod ? undefined : 'the event is about another pod';
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
}
