import { readFile } from 'node:fs/promises';

/** Exchanges recorded from a real Kubernetes 1.36 API server; `test/fixtures/kubernetes` holds one file a scenario. */
export interface Transcript {
  readonly scenario: string;
  readonly exchanges: readonly Exchange[];
}

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  /** Who asked, where it was not the administrator. */
  readonly as?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface RecordedEvent {
  readonly elapsedMs: number;
  readonly type: string;
  readonly object: RecordedObject;
}

export interface RecordedObject {
  kind?: string;
  metadata: { name: string; namespace?: string; uid: string; [field: string]: unknown };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  [field: string]: unknown;
}

export interface Exchange {
  readonly note?: string;
  readonly request: RecordedRequest;
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    /** Of a watch: its events. */
    readonly body: unknown;
    readonly closedBy?: 'client' | 'server';
  };
}

export async function readTranscript(name: string): Promise<Transcript> {
  const file = new URL(`../../../../fixtures/kubernetes/${name}.json`, import.meta.url);
  return JSON.parse(await readFile(file, 'utf8')) as Transcript;
}

export function eventsOf(exchange: Exchange | undefined): RecordedEvent[] {
  const body = exchange?.response.body;
  return Array.isArray(body) ? (body as RecordedEvent[]) : [];
}
