import type { NodeRow } from '../../fold/rows.ts';
import { shortNodeName } from '../../short-node-name.ts';
import { countdown, isGoing } from './countdown.ts';
import { element, stateBadge } from './elements.ts';
import type { NodeBox, ShownRow } from './fleet.ts';

/** A node may have more game servers than anyone reads. */
const maxRows = 200;

/** The selected node in words and its game servers in a table: the picture's content, for people who cannot see it. */
export function renderDetails(box: NodeBox | undefined, node: NodeRow | undefined, nowMs: number): Node[] {
  if (box === undefined)
    return [
      element('p', { class: 'facts' }, 'Choose a node, with the mouse or the arrow keys, to see its game servers.'),
    ];
  const facts = [box.key.startsWith('node/') ? '' : box.key, box.instanceType, box.zone].filter(Boolean).join(' · ');
  const parts: Node[] = [
    element('h2', {}, 'Node'),
    element('h3', { title: box.name }, shortNodeName(box.name)),
    element('p', { class: 'facts' }, facts),
  ];
  if (node !== undefined) parts.push(element('p', { class: 'fate' }, describeFate(node, nowMs)));
  parts.push(gameServerTable(box.gameServers));
  if (box.gameServers.length > maxRows)
    parts.push(element('p', { class: 'facts' }, `and ${box.gameServers.length - maxRows} more`));
  return parts;
}

export function describeFate({ status, kind, action, deadline }: NodeRow, nowMs: number): string {
  const what = `${status} (${kind}${action === 'none' ? '' : `, ${action}`})`;
  if (deadline === null || !isGoing(status)) return what;
  return `${what}, taken in ${countdown(deadline, nowMs)}`;
}

/** One sentence for a screen reader. */
export function describeBox({ name, gameServers }: NodeBox, node: NodeRow | undefined, nowMs: number): string {
  const counts = new Map<string, number>();
  for (const { status } of gameServers) counts.set(status, (counts.get(status) ?? 0) + 1);
  const states = [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
  const fate = node === undefined ? '' : ` ${describeFate(node, nowMs)}.`;
  return `${name}.${fate} ${gameServers.length} game servers: ${states}.`;
}

function gameServerTable(rows: readonly ShownRow[]): HTMLElement {
  const head = element(
    'tr',
    {},
    ...['State', 'Game server', 'Address', 'Players'].map((title) => element('th', { scope: 'col' }, title)),
  );
  const body = rows.slice(0, maxRows).map((row) => {
    // The address fits the column; its title shows the host name that players get.
    const host = row.public_ip ?? row.public_hostname ?? '';
    const port = row.public_port === null ? '' : `:${row.public_port}`;
    const title = `${row.public_hostname ?? host}${port}`;
    return element(
      'tr',
      {},
      element('td', {}, stateBadge(row.status)),
      element('td', {}, row.game_server_id),
      element('td', { title }, `${host}${port}`),
      element('td', {}, row.players === null ? '' : String(row.players)),
    );
  });
  return element('table', {}, element('thead', {}, head), element('tbody', {}, ...body));
}
