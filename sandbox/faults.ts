import { type IncomingMessage, type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a sandbox server does to a request before or instead of its real response. */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string }
  | { kind: 'delay'; delayMs: number }
  | { kind: 'hang' }
  | { kind: 'reset' }
  | { kind: 'garbage'; body?: string };

/** Selects the requests of a fault. Without `method` and `path`: all except those to the control surface. */
export interface FaultRule {
  id?: string;
  method?: string;
  /** A regular expression, searched in path and query. */
  path?: string;
  fault: Fault;
  /** Number of requests still to be hit; undefined: until the rule is removed. */
  times?: number;
  /** Probability of hitting a matching request, 0 to 1; default 1. */
  probability?: number;
}

// An hour is longer than any client waits. Beyond 2^31-1 ms a Node timer would fire at once.
const maxDelayMs = 3_600_000;
const maxRules = 1_000;
const maxIdCharacters = 100;
const maxPathCharacters = 1_000;
const maxControlBodyBytes = 65_536;
const controlPath = '/sandbox/faults';

// Truncated JSON with a NUL: no parser accepts it, and no HTTP client accepts it as a header value, such as a token.
const defaultGarbage = '{"garbage":[\u0000\ufffd<';

/** Validates a rule. Throws a TypeError that names the first invalid or unknown field. */
export function parseFaultRule(value: unknown): FaultRule {
  const rule = fieldsOf(value, 'the rule', ['id', 'method', 'path', 'fault', 'times', 'probability']);
  const { id, method, path, times, probability } = rule;
  return {
    ...(id !== undefined && { id: text(id, 'id', maxIdCharacters) }),
    ...(method !== undefined && { method: text(method, 'method', 20).toUpperCase() }),
    ...(path !== undefined && { path: pattern(path) }),
    fault: parseFault(rule['fault']),
    ...(times !== undefined && { times: integer(times, 'times', 1, Number.MAX_SAFE_INTEGER) }),
    ...(probability !== undefined && { probability: fraction(probability) }),
  };
}

function parseFault(value: unknown): Fault {
  const kind = fieldsOf(value, 'fault')['kind'];
  switch (kind) {
    case 'status': {
      const { status, headers, body } = fieldsOf(value, 'fault', ['kind', 'status', 'headers', 'body']);
      return {
        kind,
        // 1xx responses are interim: the client would still wait for the final one.
        status: integer(status, 'fault.status', 200, 599),
        ...(headers !== undefined && { headers: headerFields(headers) }),
        ...(body !== undefined && { body: text(body, 'fault.body', maxControlBodyBytes, 0) }),
      };
    }
    case 'delay': {
      const { delayMs } = fieldsOf(value, 'fault', ['kind', 'delayMs']);
      return { kind, delayMs: integer(delayMs, 'fault.delayMs', 0, maxDelayMs) };
    }
    case 'hang':
    case 'reset':
      fieldsOf(value, 'fault', ['kind']);
      return { kind };
    case 'garbage': {
      const { body } = fieldsOf(value, 'fault', ['kind', 'body']);
      return { kind, ...(body !== undefined && { body: text(body, 'fault.body', maxControlBodyBytes, 0) }) };
    }
    default:
      throw wrong('fault.kind', 'status, delay, hang, reset or garbage', kind);
  }
}

/** The fault rules of one server. Of the rules that match a request, the first one added that fires decides. */
export class Faults {
  readonly #rules = new Map<string, FaultRule & { pattern: RegExp }>();
  readonly #random: () => number;
  #added = 0;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /**
   * Adds the rule, or replaces the one with the same ID. Returns its ID. Throws a TypeError for an invalid rule, and an
   * Error beyond 1000 rules.
   */
  add(rule: FaultRule): string {
    const checked = parseFaultRule(rule);
    const id = checked.id ?? this.#freshId();
    if (this.#rules.size >= maxRules && !this.#rules.has(id)) {
      throw new Error(`Cannot add fault rule ${id}: ${maxRules} rules are the most`);
    }
    this.#rules.set(id, { ...checked, id, pattern: new RegExp(checked.path ?? '') });
    return id;
  }

  remove(id: string): boolean {
    return this.#rules.delete(id);
  }

  clear(): void {
    this.#rules.clear();
  }

  /** The active rules in the order in which they are tried; `times` is the remaining number. */
  list(): FaultRule[] {
    return [...this.#rules.values()].map(({ pattern: _, ...rule }) => ({ ...rule, fault: { ...rule.fault } }));
  }

  /**
   * Applies the rules to one request. true: a fault has responded, never will, or the client disconnected during a
   * delay; the caller must leave the response alone. false: go on normally. A hanging response ends with its
   * connection. `target` replaces path and query for protocols that send everything to one URL.
   */
  async apply(
    request: IncomingMessage,
    response: ServerResponse,
    target: string = request.url ?? '/',
  ): Promise<boolean> {
    const fault = this.#take(request.method ?? 'GET', target);
    switch (fault?.kind) {
      case undefined:
        return false;
      case 'status':
        answer(response, fault.status, fault.headers ?? { 'content-type': 'text/plain' }, fault.body ?? '');
        return true;
      case 'delay':
        return !(await delayed(response, fault.delayMs));
      case 'hang':
        return true;
      case 'reset':
        reset(request);
        return true;
      case 'garbage':
        answer(response, 200, { 'content-type': 'application/json' }, fault.body ?? defaultGarbage);
        return true;
    }
  }

  #take(method: string, url: string): Fault | undefined {
    if (isControlUrl(url)) return undefined;
    for (const [id, rule] of this.#rules) {
      const matches = (rule.method === undefined || rule.method === method) && rule.pattern.test(url);
      if (!matches || this.#random() >= (rule.probability ?? 1)) continue;
      if (rule.times !== undefined) {
        rule.times -= 1;
        if (rule.times === 0) this.#rules.delete(id);
      }
      return rule.fault;
    }
    return undefined;
  }

  #freshId(): string {
    do this.#added += 1;
    while (this.#rules.has(`fault-${this.#added}`));
    return `fault-${this.#added}`;
  }
}

/**
 * Serves the fault control surface only: GET /sandbox/faults lists the rules, POST adds the one in the body (201, with
 * its ID), DELETE removes all, DELETE /sandbox/faults/ID removes one (404 if it does not exist). Returns true if it
 * responded.
 */
export async function serveFaultControl(
  faults: Faults,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  if (path !== controlPath && !path.startsWith(`${controlPath}/`)) return false;
  const id = path.slice(controlPath.length + 1);
  const { method } = request;
  if (method === 'DELETE' && id === '') {
    faults.clear();
    answerJson(response, 204);
  } else if (method === 'DELETE') {
    if (faults.remove(decoded(id))) answerJson(response, 204);
    else answerJson(response, 404, { error: `No fault rule ${id}` });
  } else if (method === 'GET' && id === '') {
    answerJson(response, 200, faults.list());
  } else if (method === 'POST' && id === '') {
    await answerPost(faults, request, response);
  } else {
    response.setHeader('allow', id === '' ? 'GET, POST, DELETE' : 'DELETE');
    answerJson(response, 405, { error: `${method} is not possible on ${path}` });
  }
  return true;
}

async function answerPost(faults: Faults, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const rule = parseFaultRule(await readJson(request));
    answerJson(response, 201, { ...rule, id: faults.add(rule) });
  } catch (error) {
    answerRefusal(response, error);
  }
}

/** Whether this path controls the sandbox itself. Faults never apply to it. */
export function isControlUrl(url: string): boolean {
  return url.startsWith('/sandbox/') || url === '/sandbox';
}

/** The JSON body of a control request. Throws a RangeError beyond 64 KiB and a SyntaxError for malformed JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // By default leaving the loop would destroy the connection, and with it the error response.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxControlBodyBytes) {
      throw new RangeError(`Cannot read the body: more than ${maxControlBodyBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

export function answerJson(response: ServerResponse, status: number, value?: unknown): void {
  const body = value === undefined ? '' : `${JSON.stringify(value)}\n`;
  answer(response, status, { 'content-type': 'application/json' }, body);
}

/** Refuses a control request: 413 for a RangeError (body too long), otherwise 400, with the reason. */
export function answerRefusal(response: ServerResponse, error: unknown): void {
  // The rest of a long body is not worth reading.
  response.setHeader('connection', 'close');
  const reason = error instanceof Error ? error.message : String(error);
  answerJson(response, error instanceof RangeError ? 413 : 400, { error: reason });
}

function answer(response: ServerResponse, status: number, headers: Record<string, string>, body: string): void {
  response.writeHead(status, headers).end(body);
}

/** true after `delayMs`; false if the connection closed first. */
async function delayed(response: ServerResponse, delayMs: number): Promise<boolean> {
  if (response.destroyed) return false;
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.once('close', leave);
  try {
    await sleep(delayMs, undefined, { signal: gone.signal });
    return !response.destroyed;
  } catch {
    return false;
  } finally {
    response.off('close', leave);
  }
}

function reset({ socket }: IncomingMessage): void {
  // Node can send RST only on a plain TCP handle and throws for TLS, so the connection is destroyed instead.
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

function fieldsOf(value: unknown, name: string, known?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object', value);
  const unknown = known && Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new TypeError(`Bad fault rule: unknown field ${unknown} in ${name}`);
  return { ...value };
}

function text(value: unknown, name: string, maxCharacters: number, minCharacters = 1): string {
  if (typeof value === 'string' && value.length >= minCharacters && value.length <= maxCharacters) return value;
  throw wrong(name, `a string of ${minCharacters} to ${maxCharacters} characters`, value);
}

function integer(value: unknown, name: string, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw wrong(name, `a whole number from ${min} to ${max}`, value);
}

function fraction(value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value;
  throw wrong('probability', 'a number from 0 to 1', value);
}

function pattern(value: unknown): string {
  const source = text(value, 'path', maxPathCharacters, 0);
  try {
    new RegExp(source);
  } catch (cause) {
    throw new TypeError('Bad fault rule: path is not a regular expression', { cause });
  }
  return source;
}

function headerFields(value: unknown): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, field] of Object.entries(fieldsOf(value, 'fault.headers'))) {
    try {
      validateHeaderName(name);
      headers[name] = text(field, `fault.headers.${name}`, maxControlBodyBytes, 0);
      validateHeaderValue(name, headers[name]);
    } catch (cause) {
      throw new TypeError(`Bad fault rule: fault.headers.${name} is not an HTTP header`, { cause });
    }
  }
  return headers;
}

function wrong(name: string, expected: string, value: unknown): TypeError {
  const shown = (JSON.stringify(value) ?? String(value)).slice(0, 100);
  return new TypeError(`Bad fault rule: ${name} must be ${expected}, not ${shown}`);
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
