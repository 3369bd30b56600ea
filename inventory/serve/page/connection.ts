import type { NodeRow } from '../../fold/rows.ts';
import { type ShownRow, shownFields } from './fleet.ts';

/** An entry of /timeline. */
export interface LogEntry {
  readonly at: string;
  readonly subject: 'game-server' | 'node';
  readonly id: string;
  readonly before: string | null;
  readonly after: string;
  readonly node: string | null;
  readonly reason: string | null;
  readonly deadline: string | null;
}

export interface Snapshot {
  readonly rows: readonly ShownRow[];
  readonly nodes: readonly NodeRow[];
  readonly entries: readonly LogEntry[];
}

export interface Listener {
  snapshot(snapshot: Snapshot): void;
  gameServer(row: ShownRow, before: string | null): void;
  gameServerForgotten(id: string): void;
  node(row: NodeRow): void;
  nodeForgotten(key: string): void;
  /** `offsetMs`: the difference between the server's clock and this one. */
  state(state: 'connecting' | 'live' | 'reconnecting', offsetMs: number): void;
}

const retryMs = 1000;

/**
 * Keeps the listener up to date while the page is open: reads the table, follows the changes, and starts again when the
 * server cannot tell what was missed.
 */
export function connect(listener: Listener): void {
  let offsetMs = 0;
  const start = async (): Promise<void> => {
    try {
      // Nodes first: their position is older, and a repeated change does no harm.
      const [{ nodes, position }, date] = await getJson<{ nodes: NodeRow[]; position: string }>('/nodes');
      const rows = await readGameServers();
      const [{ entries }] = await getJson<{ entries: LogEntry[] }>('/timeline');
      offsetMs = clockOffset(date);
      listener.snapshot({ rows, nodes, entries });
      follow(position);
    } catch {
      listener.state('reconnecting', offsetMs);
      setTimeout(start, retryMs);
    }
  };
  const follow = (position: string): void => {
    const source = new EventSource(`/events?after=${encodeURIComponent(position)}`);
    const restart = (): void => {
      source.close();
      setTimeout(start, 0);
    };
    const on = <Data>(name: string, take: (data: Data) => void): void =>
      source.addEventListener(name, (event) => take(JSON.parse(event.data) as Data));
    source.addEventListener('open', () => listener.state('live', offsetMs));
    source.addEventListener('error', () => {
      listener.state('reconnecting', offsetMs);
      // The browser reconnects after a broken connection, but not after an error response.
      if (source.readyState === EventSource.CLOSED) setTimeout(start, retryMs);
    });
    on('reset', restart);
    on<{ row: ShownRow; before: string | null }>('game-server', ({ row, before }) => listener.gameServer(row, before));
    on<{ id: string }>('game-server-forgotten', ({ id }) => listener.gameServerForgotten(id));
    on<{ row: NodeRow }>('node', ({ row }) => listener.node(row));
    on<{ key: string }>('node-forgotten', ({ key }) => listener.nodeForgotten(key));
  };
  listener.state('connecting', offsetMs);
  void start();
}

async function readGameServers(): Promise<ShownRow[]> {
  const rows: ShownRow[] = [];
  for (let after = ''; ; ) {
    const query = new URLSearchParams({ fields: shownFields.join(','), limit: '20000', after });
    const [page] = await getJson<{ game_servers: ShownRow[]; next: string | null }>(`/game-servers?${query}`);
    rows.push(...page.game_servers);
    if (page.next === null) return rows;
    after = page.next;
  }
}

async function getJson<Body>(path: string): Promise<[body: Body, date: string | null]> {
  const response = await fetch(path, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`Cannot read ${path}: ${response.status}`);
  return [(await response.json()) as Body, response.headers.get('date')];
}

/**
 * Countdowns follow the server's clock only if this machine's is clearly wrong, because the Date header has whole
 * seconds.
 */
function clockOffset(date: string | null): number {
  const offsetMs = Date.parse(date ?? '') - Date.now();
  return Math.abs(offsetMs) > 2000 ? offsetMs : 0;
}
