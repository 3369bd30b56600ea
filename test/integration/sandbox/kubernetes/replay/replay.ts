import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../../../../sandbox/kubernetes/api-server.ts';
import { normalise, sortedKeys } from './normalise.ts';
import { type Exchange, eventsOf, type RecordedRequest, readTranscript, type Transcript } from './transcript.ts';

/** What a scenario needs besides its exchanges. */
export interface Scene {
  readonly file: string;
  readonly options?: ApiServerOptions;
  seed(stage: Stage): void;
  /** What happened before an exchange and is not recorded. */
  readonly before?: Readonly<Record<number, (stage: Stage) => void | Promise<void>>>;
  /** Requests that hold what is not in the files, such as tokens. */
  readonly rewrite?: Readonly<Record<number, (request: RecordedRequest, stage: Stage) => RecordedRequest>>;
  /** Exchanges that are not replayed, and why. */
  readonly leftOut?: Readonly<Record<number, string>>;
  /** Exchanges of which only the status is compared, and why. */
  readonly statusOnly?: Readonly<Record<number, string>>;
  /** Watches that the server ended in its time and the replay ends when it has seen everything: a busy machine may be late. */
  readonly endedHere?: readonly number[];
  /** Names that the server made up. */
  readonly generated?: readonly RegExp[];
}

export interface Stage {
  readonly server: ApiServer;
  readonly transcript: Transcript;
  /** The answers so far, by exchange. */
  readonly answers: Map<number, unknown>;
  /** Sends a request that is not recorded. */
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<Reply>;
  /** The double's value for one of the recording: uids, names, resourceVersions and continue tokens. */
  translate(text: string): string;
  /** Remembers that these two are the same thing. */
  learn(recorded: unknown, actual: unknown): void;
  /** Waits for the events of the watches under way: in the recording they were over before what comes next. */
  finishWatches(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export const adminToken = 'admin-token';
const deadlineMs = 10_000;
const pollMs = 5;

/** Plays a scenario against a fresh double and compares every answer. Returns how many exchanges were compared. */
export async function replay(scene: Scene): Promise<{ compared: number; leftOut: number }> {
  const transcript = await readTranscript(scene.file);
  await using server = await startApiServer({
    tokens: { [adminToken]: { name: 'kubernetes-admin', groups: ['system:masters'] } },
    futureVersionWaitMs: 20,
    ...scene.options,
  });
  const replayer = new Replayer(scene, server, transcript);
  scene.seed(replayer);
  return await replayer.run();
}

class Replayer implements Stage {
  readonly server: ApiServer;
  readonly transcript: Transcript;
  readonly answers: Map<number, unknown> = new Map();
  readonly #scene: Scene;
  readonly #known = new Map<string, string>();
  readonly #versions = new Map<string, string>();
  readonly #watches: (() => Promise<void>)[] = [];

  constructor(scene: Scene, server: ApiServer, transcript: Transcript) {
    this.#scene = scene;
    this.server = server;
    this.transcript = transcript;
  }

  async run(): Promise<{ compared: number; leftOut: number }> {
    const { leftOut = {}, before = {} } = this.#scene;
    let compared = 0;
    for (const [index, exchange] of this.transcript.exchanges.entries()) {
      if (leftOut[index] !== undefined) continue;
      await before[index]?.(this);
      await this.#play(index, exchange);
      compared += 1;
    }
    await this.finishWatches();
    return { compared, leftOut: Object.keys(leftOut).length };
  }

  async send(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<Reply> {
    const headers = { accept: 'application/json', 'content-type': contentType };
    return await readReply(await this.#fetch({ method, path, headers, ...(body === undefined ? {} : { body }) }));
  }

  translate(text: string): string {
    return [...this.#known].reduce((result, [recorded, actual]) => result.replaceAll(recorded, actual), text);
  }

  async finishWatches(): Promise<void> {
    for (const finish of this.#watches.splice(0)) await finish();
  }

  learn(recorded: unknown, actual: unknown): void {
    this.#learn(recorded, actual, this.#scene.file);
  }

  async #play(index: number, exchange: Exchange): Promise<void> {
    const rewritten = this.#scene.rewrite?.[index]?.(exchange.request, this) ?? exchange.request;
    const request = this.#translated(rewritten);
    const where = `${this.#scene.file}[${index}] ${exchange.note ?? ''}: ${request.method} ${request.path}`;
    if (exchange.response.closedBy !== undefined && Array.isArray(exchange.response.body)) {
      await this.#watch(index, request, exchange, where);
      return;
    }
    // The recording waited between two looks for what controllers do; a GET is repeated until it shows that.
    const endMs = performance.now() + (request.method === 'GET' ? deadlineMs / 5 : 0);
    for (;;) {
      const reply = await readReply(await this.#fetch(request));
      try {
        this.#compare(index, exchange, reply, where);
        this.answers.set(index, reply.body);
        return;
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await sleep(pollMs);
      }
    }
  }

  #compare(index: number, { response }: Exchange, reply: Reply, where: string): void {
    const { generated = [], statusOnly = {} } = this.#scene;
    assert.equal(reply.status, response.status, `${where}\n${JSON.stringify(reply.body)}`);
    for (const name of ['content-type', 'retry-after', 'warning']) {
      assert.equal(reply.headers.get(name) ?? undefined, response.headers[name], `${where}: header ${name}`);
    }
    if (statusOnly[index] !== undefined) return;
    assert.deepEqual(normalise(reply.body, generated), normalise(response.body, generated), where);
    this.#learn(response.body, reply.body, where);
  }

  /** Opens the watch, and leaves its events to be compared when the rest is over. */
  async #watch(index: number, request: RecordedRequest, exchange: Exchange, where: string): Promise<void> {
    const { generated = [], endedHere = [] } = this.#scene;
    const expected = split(eventsOf(exchange).map(({ type, object }) => normalise({ type, object }, generated)));
    const byServer = exchange.response.closedBy === 'server' && !endedHere.includes(index);
    const controller = new AbortController();
    const response = await this.#fetch(request, controller.signal);
    assert.equal(response.status, exchange.response.status, where);
    const stream = readEvents(response, controller.signal);
    this.#watches.push(async () => {
      const endMs = performance.now() + deadlineMs;
      for (;;) {
        const seen = split(stream.events.map((event) => normalise(event, generated)));
        const isOver = byServer
          ? stream.ended
          : seen.changes.length >= expected.changes.length && seen.bookmarks.length >= expected.bookmarks.length;
        if (isOver || performance.now() > endMs) {
          controller.abort();
          assert.deepEqual(seen.changes, expected.changes, where);
          // Where the recording was cut short, it shows no bookmark that might still have come.
          if (exchange.response.closedBy === 'server') assert.deepEqual(seen.bookmarks, expected.bookmarks, where);
          assert.equal(stream.ended, byServer, `${where}: the server ends it`);
          return;
        }
        await sleep(pollMs);
      }
    });
  }

  #translated(request: RecordedRequest): RecordedRequest {
    const path = this.translate(request.path).replace(
      /([?&]resourceVersion=)(\d+)/,
      (_, key: string, version: string) => `${key}${this.#version(version)}`,
    );
    if (request.body === undefined) return { ...request, path };
    const text = this.translate(JSON.stringify(request.body)).replaceAll(
      /("resourceVersion":|"path":"\/metadata\/resourceVersion","value":)"(\d+)"/g,
      (_, key: string, version: string) => `${key}"${this.#version(version)}"`,
    );
    return { ...request, path, body: JSON.parse(text) as unknown };
  }

  /** 0, 1 and versions of the future mean the same everywhere; one that was never seen in an answer means now. */
  #version(recorded: string): string {
    if (Number(recorded) <= 2 || Number(recorded) > 1_000_000) return recorded;
    return this.#versions.get(recorded) ?? String(this.server.store.resourceVersion);
  }

  /** Remembers what the double calls the things of the recording; one thing must not have two names. */
  #learn(recorded: unknown, actual: unknown, where: string): void {
    if (recorded === null || typeof recorded !== 'object' || actual === null || typeof actual !== 'object') return;
    for (const [key, was] of Object.entries(recorded)) {
      // Lists whose names were made up are in an order that is chance.
      if (key === 'items' && this.#scene.generated !== undefined) continue;
      const is: unknown = (actual as Record<string, unknown>)[key];
      if (typeof was === 'string' && typeof is === 'string') {
        if (key === 'resourceVersion' && 'uid' in recorded) {
          assert.equal(this.#versions.get(was) ?? is, is, `${where}: the version was the same in the recording`);
        }
        if (key === 'resourceVersion') this.#versions.set(was, is);
        else if (['uid', 'name', 'continue'].includes(key) && was !== is) this.#known.set(was, is);
      } else this.#learn(was, is, where);
    }
  }

  async #fetch({ method, path, headers, body, as }: RecordedRequest, signal?: AbortSignal): Promise<Response> {
    const token = this.#tokenOf(as);
    return await fetch(`${this.server.url}${path}`, {
      method,
      headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: signal ?? AbortSignal.timeout(deadlineMs),
    });
  }

  #tokenOf(as: string | undefined): string | undefined {
    if (as === undefined) return adminToken;
    if (as.startsWith('nobody')) return undefined;
    const [, namespace, name] = /^system:serviceaccount:([^:]+):(.+)$/.exec(as) ?? [];
    if (namespace !== undefined && name !== undefined) return this.server.issueToken(namespace, name);
    return /^Bearer (.+)$/.exec(as)?.[1] ?? 'no.such.token';
  }
}

async function readReply(response: Response): Promise<Reply> {
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return { status: response.status, headers: response.headers, body: isJson ? (JSON.parse(text) as unknown) : text };
}

function readEvents(response: Response, signal: AbortSignal): { events: unknown[]; ended: boolean } {
  const stream = { events: [] as unknown[], ended: false };
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) stream.events.push(JSON.parse(line));
    }
    stream.ended = true;
  };
  read().catch((error: unknown) => {
    if (!signal.aborted) stream.events.push({ broken: String(error) });
  });
  return stream;
}

/**
 * Changes in their order, and each form of bookmark once: how many of these come, and between which changes, depends on
 * the moment.
 */
function split(events: readonly unknown[]): { changes: unknown[]; bookmarks: string[] } {
  const isBookmark = (event: unknown): boolean => (event as { type?: string }).type === 'BOOKMARK';
  return {
    changes: events.filter((event) => !isBookmark(event)),
    bookmarks: [...new Set(events.filter(isBookmark).map((event) => JSON.stringify(event, sortedKeys)))].sort(),
  };
}
