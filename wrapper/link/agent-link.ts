import { connect, type Socket } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { decodeAgentLine } from '../../shared/link/decode-line.ts';
import { LineDecoder } from '../../shared/link/line-decoder.ts';
import { linkPath } from '../../shared/link/link-address.ts';
import {
  type AgentMessage,
  encodeLine,
  type HelloMessage,
  type InterruptionMessage,
  type SessionMessage,
  type WelcomeMessage,
  type WrapperMessage,
} from '../../shared/link/link-message.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';

/** Receives the agent's messages. */
export interface LinkListener {
  /** Called after each connect, and again when the agent has found out which pod we are. */
  onWelcome(welcome: WelcomeMessage, isFirst: boolean): void;
  onInterruption(interruption: InterruptionMessage): void;
  /** A peer that may not be the agent reports an end: only a reason to check. */
  onHint(): void;
  onCancelled(id: string): void;
  /** The result for events that we handed over. */
  onSettled(outcome: Extract<AgentMessage, { type: 'published' | 'refused' }>): void;
  /** The pod's session, as its metadata says. */
  onSession(session: SessionMessage): void;
  /** The agent did not accept a message. */
  onRefusal(reason: string): void;
  /** The link is lost and will be re-established. */
  onBroken(): void;
}

export interface AgentLinkOptions {
  /** `@name` or a path. */
  readonly address: string;
  /** Whether only the agent can listen at the address; called for each connection. */
  readonly isTrusted: () => boolean;
  readonly listener: LinkListener;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** The agent may start after us, or restart. */
const backoff: Backoff = { firstMs: 1000, maxMs: 10_000 };

/** For the end of the wrapper's life, when it waits for an agent that is being replaced. */
const soonBackoff: Backoff = { firstMs: 250, maxMs: 250 };

/** Heartbeats that may be missing: a busy machine sends late. */
const missedLives = 3;

const readBytes = 4096;

/** The wrapper's end of the local socket to the node's agent. */
export class AgentLink {
  readonly #options: AgentLinkOptions;
  readonly #firstAttempt = Promise.withResolvers<void>();
  readonly #reached = Promise.withResolvers<void>();
  #socket: Socket | undefined;
  #hello: ((isTrusted: boolean) => HelloMessage) | undefined;
  #isTrusted = false;
  #hasSaidDistrust = false;
  /** The connection on which we have sent our hello. */
  #greeted: Socket | undefined;
  #welcome: WelcomeMessage | undefined;
  /** Ends the connection of an agent that has stopped sending. */
  #silence: NodeJS.Timeout | undefined;
  /** The last state, which the agent needs again after a reconnect. */
  #standing: WrapperMessage | undefined;
  #isSoon = false;
  #pause = new AbortController();

  constructor(options: AgentLinkOptions) {
    this.#options = options;
  }

  /** The agent's answer; undefined without a link. */
  get welcome(): WelcomeMessage | undefined {
    return this.#welcome;
  }

  /** Resolves when the first connection attempt has succeeded or failed: a local socket does either at once. */
  reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Resolves when the agent has answered, when there is none, or after `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    await Promise.race([this.#firstAttempt.promise, this.#options.clock.sleep(limitMs)]);
  }

  /**
   * Sends our hello as soon as there is a connection, and on each later one. `hello` is called anew each time, because
   * its token may have been renewed and only the agent may see it. The agent speaks first, and the game's start waits
   * for its message: whatever has arrived by then is read before the hello goes out.
   */
  introduce(hello: (isTrusted: boolean) => HelloMessage): void {
    this.#hello = hello;
    // Two turns, so that the event loop reads in between.
    setImmediate(() => setImmediate(() => this.#greet()));
  }

  /** Connects, and reconnects, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const retries = new RetryPause({ backoff, clock, random });
    for (let hasBeenWelcome = false; !signal.aborted; ) {
      const { wasWelcome, reason } = await this.#converse(signal);
      this.#firstAttempt.resolve();
      if (wasWelcome) retries.progressed();
      const failures = retries.failed();
      if (signal.aborted) return;
      if (wasWelcome) log.info({ reason: errorText(reason) }, 'Agent link lost');
      // Not on the first failure: an agent may be about to start, and a log line must not delay the game's start.
      if (failures === 2 && !hasBeenWelcome) log.info({ reason: errorText(reason) }, 'No agent on this node');
      hasBeenWelcome ||= wasWelcome;
      this.#pause = new AbortController();
      const until = AbortSignal.any([signal, this.#pause.signal]);
      await retries.wait(until, this.#isSoon ? { backoff: soonBackoff } : {});
    }
  }

  /** Reconnects after short pauses from now on, and ends the present connection. */
  comeBackSoon(): void {
    this.#isSoon = true;
    this.#pause.abort();
  }

  /** Returns false if there is no link now. */
  send(message: WrapperMessage): boolean {
    if (message.type === 'state') this.#standing = message;
    if (this.#welcome === undefined || this.#socket === undefined) return false;
    this.#greet();
    this.#socket.write(encodeLine(message));
    return true;
  }

  /** Sent once on each connection, before any other message. */
  #greet(): void {
    const socket = this.#socket;
    if (socket?.readyState !== 'open' || this.#hello === undefined || this.#greeted === socket) return;
    this.#greeted = socket;
    socket.write(encodeLine(this.#hello(this.#isTrusted)));
  }

  /** Runs one connection, from connect to close. */
  async #converse(signal: AbortSignal): Promise<{ wasWelcome: boolean; reason: unknown }> {
    const { address, isTrusted, listener } = this.#options;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const lines = new LineDecoder();
    const buffer = Buffer.allocUnsafeSlow(readBytes);
    const onRead = (bytes: number) => {
      try {
        for (const line of lines.push(buffer.subarray(0, bytes))) this.#hear(line);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
      return true;
    };
    // One buffer for all reads: a stream would allocate 64 KiB for each.
    const socket: Socket = connect({ path: linkPath(address), onread: { buffer, callback: onRead } });
    const onAbort = () => socket.destroySoon();
    let reason: unknown = 'closed by the agent';
    socket.once('connect', () => {
      this.#reached.resolve();
      this.#greet();
    });
    socket.once('error', (error) => {
      reason = error;
      this.#firstAttempt.resolve();
    });
    socket.once('close', () => {
      this.#reached.resolve();
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
    this.#socket = socket;
    this.#isTrusted = isTrusted();
    await closed;
    signal.removeEventListener('abort', onAbort);
    clearTimeout(this.#silence);
    const wasWelcome = this.#welcome !== undefined;
    this.#socket = undefined;
    this.#greeted = undefined;
    this.#welcome = undefined;
    if (wasWelcome) listener.onBroken();
    return { wasWelcome, reason };
  }

  #hear(line: string): void {
    const { log } = this.#options;
    const decoded = decodeAgentLine(line);
    switch (decoded.kind) {
      case 'message':
        if (this.#isTrusted) this.#take(decoded.message);
        else this.#takeHint(decoded.message);
        return;
      case 'unknown':
        // A newer agent sent it. Such an agent sends whatever we need in messages that we know.
        log.debug({ type: decoded.type }, 'Unknown agent message');
        return;
      case 'garbage':
        throw new Error(`Cannot read a line from the agent: ${decoded.reason}`);
    }
  }

  #take(message: AgentMessage): void {
    const { listener, log } = this.#options;
    switch (message.type) {
      case 'welcome':
        this.#beWelcome(message);
        return;
      case 'alive':
        this.#expectLife(message.next_ms * missedLives);
        return;
      case 'interruption':
        listener.onInterruption(message);
        return;
      case 'cancelled':
        listener.onCancelled(message.id);
        return;
      case 'published':
      case 'refused':
        listener.onSettled(message);
        return;
      case 'session':
        listener.onSession(message);
        return;
      case 'error':
        log.warn({ reason: message.message }, 'Agent refused a message');
        listener.onRefusal(message.message);
        return;
    }
  }

  /**
   * A process that took the address may send anything, so its messages must not end a game, place it or take its
   * events. A reported end is still worth asking the metadata service, just as without an agent.
   */
  #takeHint(message: AgentMessage): void {
    const { listener, log, address } = this.#options;
    if (message.type === 'alive') this.#expectLife(message.next_ms * missedLives);
    else if (message.type === 'interruption') listener.onHint();
    if (message.type !== 'welcome') return;
    this.#firstAttempt.resolve();
    if (this.#hasSaidDistrust) return;
    this.#hasSaidDistrust = true;
    log.warn({ link: address }, 'Agent not trusted: any process on the node may have taken the address of the link');
  }

  /**
   * An agent that hangs keeps its connections and answers nothing: reconnecting gets no welcome, and the wrapper acts
   * without an agent.
   */
  #expectLife(withinMs: number): void {
    const socket = this.#socket;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => socket?.destroy(new Error(`silent for ${withinMs / 1000} s`)), withinMs);
  }

  #beWelcome(welcome: WelcomeMessage): void {
    const isFirst = this.#welcome === undefined;
    this.#welcome = welcome;
    this.#firstAttempt.resolve();
    if (isFirst && this.#standing !== undefined) this.send(this.#standing);
    this.#options.listener.onWelcome(welcome, isFirst);
  }
}
