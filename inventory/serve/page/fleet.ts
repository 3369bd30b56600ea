import type { GameServerState } from '../../../shared/events/event.ts';
import type { GameServerRow, NodeRow } from '../../fold/rows.ts';

/** Only the fields that the page needs, so that 10,000 rows stay small. */
export const shownFields = [
  'game_server_id',
  'status',
  'type',
  'node',
  'instance_id',
  'instance_type',
  'zone',
  'public_hostname',
  'public_ip',
  'public_port',
  'players',
  'deadline',
  'reason',
] as const;
export type ShownRow = Pick<GameServerRow, (typeof shownFields)[number]>;

export interface NodeBox {
  readonly key: string;
  /** The node's own facts, from any of its game servers or from its events. */
  name: string;
  zone: string | null;
  instanceType: string | null;
  /** Sorted by ID, so that a game server keeps its place. */
  readonly gameServers: ShownRow[];
}

/** Search words in lower case, and the state to show. */
export interface Filter {
  readonly words: readonly string[];
  readonly state: GameServerState | undefined;
}

const withoutNode = 'no node known';

/** The page's copy of the table, updated by the changes. It does not use the DOM. */
export class Fleet {
  readonly #boxOf = new Map<string, NodeBox>();
  readonly #rows = new Map<string, ShownRow>();
  readonly #nodes = new Map<string, NodeRow>();
  /** Boxes in page order; undefined after one was added or removed. */
  #ordered: NodeBox[] | undefined;

  replace(rows: Iterable<ShownRow>, nodes: Iterable<NodeRow>): void {
    this.#boxOf.clear();
    this.#rows.clear();
    this.#nodes.clear();
    this.#ordered = undefined;
    for (const node of nodes) this.putNode(node);
    const byBox = new Map<string, ShownRow[]>();
    for (const row of rows) {
      this.#rows.set(row.game_server_id, row);
      const key = boxKey(row);
      const together = byBox.get(key) ?? [];
      together.push(row);
      byBox.set(key, together);
    }
    for (const [key, together] of byBox) {
      together.sort((one, other) => compareText(one.game_server_id, other.game_server_id));
      for (const row of together) this.#boxFor(key, row).gameServers.push(row);
    }
  }

  putGameServer(row: ShownRow): void {
    const known = this.#rows.get(row.game_server_id);
    const key = boxKey(row);
    if (known !== undefined && boxKey(known) !== key) this.#take(known);
    this.#rows.set(row.game_server_id, row);
    const { gameServers } = this.#boxFor(key, row);
    const at = gameServers.findIndex((other) => other.game_server_id >= row.game_server_id);
    if (at < 0) gameServers.push(row);
    else gameServers.splice(at, gameServers[at]?.game_server_id === row.game_server_id ? 1 : 0, row);
  }

  forgetGameServer(id: string): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    this.#take(row);
    this.#rows.delete(id);
  }

  putNode(node: NodeRow): void {
    this.#nodes.set(node.key, node);
  }

  forgetNode(key: string): void {
    this.#nodes.delete(key);
  }

  /** Ordered by zone and name, so that a box keeps its place. */
  boxes(): readonly NodeBox[] {
    this.#ordered ??= [...this.#boxOf.values()].sort(
      (one, other) =>
        compareText(one.zone ?? '~', other.zone ?? '~') ||
        compareText(one.name, other.name) ||
        compareText(one.key, other.key),
    );
    return this.#ordered;
  }

  /** The newest event of the box's node, if any. */
  nodeOf({ key, name }: NodeBox): NodeRow | undefined {
    return this.#nodes.get(key) ?? this.#nodes.get(`node/${name}`);
  }

  counts(): ReadonlyMap<GameServerState, number> {
    const counts = new Map<GameServerState, number>();
    for (const { status } of this.#rows.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
    return counts;
  }

  get size(): number {
    return this.#rows.size;
  }

  #boxFor(key: string, row: ShownRow): NodeBox {
    let box = this.#boxOf.get(key);
    if (box === undefined) {
      const name = row.node ?? row.instance_id ?? withoutNode;
      box = { key, name, zone: row.zone, instanceType: row.instance_type, gameServers: [] };
      this.#boxOf.set(key, box);
      this.#ordered = undefined;
    }
    return box;
  }

  #take(row: ShownRow): void {
    const key = boxKey(row);
    const box = this.#boxOf.get(key);
    if (box === undefined) return;
    const at = box.gameServers.findIndex(({ game_server_id }) => game_server_id === row.game_server_id);
    if (at >= 0) box.gameServers.splice(at, 1);
    if (box.gameServers.length > 0) return;
    this.#boxOf.delete(key);
    this.#ordered = undefined;
  }
}

function boxKey({ instance_id, node }: ShownRow): string {
  return instance_id ?? (node === null ? withoutNode : `node/${node}`);
}

function compareText(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

/** Whether a game server matches the search: every word occurs in one of its names. */
export function isWanted(row: ShownRow, { words, state }: Filter): boolean {
  if (state !== undefined && row.status !== state) return false;
  if (words.length === 0) return true;
  const text =
    `${row.game_server_id} ${row.node} ${row.instance_id} ${row.instance_type} ${row.zone} ${row.type} ${row.public_hostname}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

export function parseFilter(text: string, state: GameServerState | undefined): Filter {
  return { words: text.toLowerCase().split(/\s+/).filter(Boolean), state };
}
