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

/** Who hears what the agent says. */
export interface LinkListener {
  /** After each connect, and again when the agent has found out who we are. */
  onWelcome(welcome: WelcomeMessage, isFirst: boolean): void;
  onInterruption(interruption: InterruptionMessage): void;
  /** Somebody who may not be the agent speaks of an end: worth a look, and no more. */
  onHint(): void;
  onCancelled(id: string): void;
  /** What became of events that we handed over. */
  onSettled(outcome: Extract<AgentMessage, { type: 'published' | 'refused' }>): void;
  /** What the pod says of its session. */
  onSession(session: SessionMessage): void;
  /** The agent did not take a message. */
  onRefusal(reason: string): void;
  /** The link is gone; a new one is on its way. */
  onBroken(): void;
}

export interface AgentLinkOptions {
  /** `@name` or a path. */
  readonly address: string;
  /** Whether only the agent can be at the address; asked at each connection. */
  readonly isTrusted: () => boolean;
  readonly listener: LinkListener;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** The agent may start after us, or again. */
const backoff: Backoff = { firstMs: 1000, maxMs: 10_000 };

/** At the end of the wrapper's life, when an agent that is being replaced is waited for. */
const soonBackoff: Backoff = { firstMs: 250, maxMs: 250 };

/** Signs of life that may be missing: a busy machine is late, too. */
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
  /** The connection that has heard it. */
  #greeted: Socket | undefined;
  #welcome: WelcomeMessage | undefined;
  /** Ends the connection of an agent that has fallen silent. */
  #silence: NodeJS.Timeout | undefined;
  /** What the agent is to know after a reconnect: the last state. */
  #standing: WrapperMessage | undefined;
  #isSoon = false;
  #pause = new AbortController();

  constructor(options: AgentLinkOptions) {
    this.#options = options;
  }

  /** The agent's answer; undefined while there is no link. */
  get welcome(): WelcomeMessage | undefined {
    return this.#welcome;
  }

  /** Resolves with the first connection, or when it has failed: a local socket does either at once. */
  reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Resolves when the agent has answered, when there is none, or after `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    await Promise.race([this.#firstAttempt.promise, this.#options.clock.sleep(limitMs)]);
  }

  /**
   * Says who we are as soon as there is a connection, and on each later one. `hello` is called anew each time: what it
   * proves itself with may have been renewed, and is for the agent's eyes only. An agent speaks first, and the game's
   * start waits for it: what has come by then is read before this is said.
   */
  introduce(hello: (isTrusted: boolean) => HelloMessage): void {
    this.#hello = hello;
    // The event loop reads between one and the next.
    setImmediate(() => setImmediate(() => this.#greet()));
  }

  /** Connects, and connects again, until the signal aborts. */
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
      // Not at the first failure: an agent may be about to start, and our game's start is not to wait for a log line.
      if (failures === 2 && !hasBeenWelcome) log.info({ reason: errorText(reason) }, 'No agent on this node');
      hasBeenWelcome ||= wasWelcome;
      this.#pause = new AbortController();
      const until = AbortSignal.any([signal, this.#pause.signal]);
      await retries.wait(until, this.#isSoon ? { backoff: soonBackoff } : {});
    }
  }

  /** From now on connects again after short pauses; ends the present one. */
  comeBackSoon(): void {
    this.#isSoon = true;
    this.#pause.abort();
  }

  /** False: there is no link now. */
  send(message: WrapperMessage): boolean {
    if (message.type === 'state') this.#standing = message;
    if (this.#welcome === undefined || this.#socket === undefined) return false;
    this.#greet();
    this.#socket.write(encodeLine(message));
    return true;
  }

  /** Once a connection, and before anything else that we say. */
  #greet(): void {
    const socket = this.#socket;
    if (socket?.readyState !== 'open' || this.#hello === undefined || this.#greeted === socket) return;
    this.#greeted = socket;
    socket.write(encodeLine(this.#hello(this.#isTrusted)));
  }

  /** One connection, from connect to close. */
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
    // One buffer for all: a stream would take 64 KiB a read.
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
        // From a newer agent: what it needs us to know it says in words that we know.
        log.debug({ type: decoded.type }, 'Agent message unknown');
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
   * Whoever took the address may say what they like: no word of theirs ends a game, places it or takes its events. That
   * there may be an end to come is worth a question to the metadata service, which is asked as where there is no agent.
   */
  #takeHint(message: AgentMessage): void {
    const { listener, log, address } = this.#options;
    if (message.type === 'alive') this.#expectLife(message.next_ms * missedLives);
    else if (message.type === 'interruption') listener.onHint();
    if (message.type !== 'welcome') return;
    this.#firstAttempt.resolve();
    if (this.#hasSaidDistrust) return;
    this.#hasSaidDistrust = true;
    log.warn({ link: address }, 'Agent not believed: any process on the node may have taken the address of the link');
  }

  /**
   * An agent that hangs keeps its connections, and answers nothing: the next one is not welcome, and we are on our own.
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
