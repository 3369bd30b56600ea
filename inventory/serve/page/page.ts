import type { GameServerState } from '../../../shared/events/event.ts';
import type { NodeRow } from '../../fold/rows.ts';
import { shortNodeName } from '../../short-node-name.ts';
import { connect } from './connection.ts';
import { countdown, isGoing } from './countdown.ts';
import { describeBox, describeFate, renderDetails } from './details.ts';
import { element, pageElement, stateMark } from './elements.ts';
import { EventLog } from './event-log.ts';
import { type Filter, Fleet, type NodeBox, parseFilter, type ShownRow } from './fleet.ts';
import { boxAfterKey, boxAt, boxPlace, type FleetLayout, layOutFleet } from './layout.ts';
import { marks, stateNames } from './marks.ts';
import { Painter } from './painter.ts';

/** Countdowns move four times a second; everything else is drawn in the frame after it changed. */
const tickMs = 250;
const maxAlarms = 6;

const parts = {
  fleet: pageElement('fleet', HTMLElement),
  extent: pageElement('fleet-extent', HTMLElement),
  empty: pageElement('fleet-empty', HTMLElement),
  counts: pageElement('counts', HTMLElement),
  alarms: pageElement('alarms', HTMLElement),
  details: pageElement('details', HTMLElement),
  spoken: pageElement('spoken', HTMLElement),
  connection: pageElement('connection', HTMLElement),
  filter: pageElement('filter', HTMLInputElement),
  help: pageElement('help', HTMLDialogElement),
};
const fleet = new Fleet();
const painter = new Painter(pageElement('fleet-canvas', HTMLCanvasElement));
const log = new EventLog(pageElement('log-lines', HTMLElement));

let filter: Filter = parseFilter('', undefined);
let selectedKey: string | undefined;
let clockOffsetMs = 0;
let layout: FleetLayout = layOutFleet(0, 0, 0);
let isFrameAsked = false;
/** Whether game servers or nodes changed since the last frame, so that the text around the picture must change too. */
let isChanged = true;

const nowMs = (): number => Date.now() + clockOffsetMs;

function askForFrame(): void {
  if (isFrameAsked) return;
  isFrameAsked = true;
  requestAnimationFrame(() => {
    isFrameAsked = false;
    draw();
  });
}

function changed(): void {
  isChanged = true;
  askForFrame();
}

function draw(): void {
  const { clientWidth: width, clientHeight: height } = parts.fleet;
  const boxes = fleet.boxes();
  if (isChanged) {
    isChanged = false;
    drawCounts();
    drawAlarms();
    drawDetails();
    parts.empty.hidden = boxes.length > 0;
  }
  log.draw();
  layout = layOutFleet(
    width,
    boxes.length,
    boxes.reduce((most, box) => Math.max(most, box.gameServers.length), 0),
  );
  parts.extent.style.height = `${layout.height}px`;
  const { scrollTop } = parts.fleet;
  painter.paint({ fleet, layout, filter, selectedKey, scrollTop, width, height, nowMs: nowMs() });
}

function drawCounts(): void {
  const counts = fleet.counts();
  for (const state of stateNames) {
    const count = parts.counts.querySelector(`button[data-state="${state}"] b`);
    setText(count, (counts.get(state) ?? 0).toLocaleString());
  }
  document.title = `${fleet.size} game servers`;
}

function interruptedBoxes(): { readonly box: NodeBox; readonly node: NodeRow; readonly index: number }[] {
  return fleet.boxes().flatMap((box, index) => {
    const node = fleet.nodeOf(box);
    return node !== undefined && isGoing(node.status) ? [{ box, node, index }] : [];
  });
}

function drawAlarms(): void {
  const interrupted = interruptedBoxes().sort((one, other) =>
    (one.node.deadline ?? '~') < (other.node.deadline ?? '~') ? -1 : 1,
  );
  const shown = interrupted.slice(0, maxAlarms);
  const keys = shown.map(({ box }) => box.key).join();
  // Buttons are kept where possible, because someone may be about to press one.
  if (parts.alarms.dataset['keys'] !== keys) {
    parts.alarms.dataset['keys'] = keys;
    parts.alarms.replaceChildren(...shown.map(({ box }) => alarmButton(box)), element('span', { class: 'more' }));
  }
  for (const [index, { node }] of shown.entries())
    setText(
      parts.alarms.children[index]?.firstElementChild,
      node.deadline === null ? 'going' : countdown(node.deadline, nowMs()),
    );
  const more = interrupted.length - shown.length;
  setText(parts.alarms.lastElementChild, more > 0 ? `and ${more} more (n goes to the next)` : '');
  parts.alarms.hidden = interrupted.length === 0;
}

function alarmButton({ key, name }: NodeBox): HTMLElement {
  const attributes = { type: 'button', class: 'alarm', title: name };
  const button = element('button', attributes, element('b', {}), shortNodeName(name));
  button.addEventListener('click', () => select(key));
  return button;
}

function setText(target: Element | null | undefined, text: string): void {
  if (target != null && target.textContent !== text) target.textContent = text;
}

function selectedBox(): NodeBox | undefined {
  return fleet.boxes().find(({ key }) => key === selectedKey);
}

function drawDetails(): void {
  const box = selectedBox();
  parts.details.replaceChildren(...renderDetails(box, box && fleet.nodeOf(box), nowMs()));
}

/** Draws what moves without a change. */
function drawCountdowns(): void {
  drawAlarms();
  const box = selectedBox();
  const node = box && fleet.nodeOf(box);
  if (node !== undefined) setText(parts.details.querySelector('.fate'), describeFate(node, nowMs()));
  askForFrame();
}

function select(key: string): void {
  selectedKey = key;
  const index = fleet.boxes().findIndex((box) => box.key === key);
  const box = fleet.boxes()[index];
  if (box === undefined) return;
  const { y } = boxPlace(layout, index);
  const { scrollTop, clientHeight } = parts.fleet;
  const isInView = y >= scrollTop && y + layout.boxHeight <= scrollTop + clientHeight;
  // Scrolls the box to the middle, so that its surroundings are visible too.
  if (!isInView) parts.fleet.scrollTop = y - (clientHeight - layout.boxHeight) / 2;
  parts.spoken.textContent = describeBox(box, fleet.nodeOf(box), nowMs());
  drawDetails();
  askForFrame();
}

function selectAt(index: number | undefined): void {
  const box = index === undefined ? undefined : fleet.boxes()[index];
  if (box !== undefined) select(box.key);
}

/** Starts at the selected node and wraps around. */
function selectInterrupted(direction: 1 | -1): void {
  const indexes = interruptedBoxes().map(({ index }) => index);
  const from = fleet.boxes().findIndex(({ key }) => key === selectedKey);
  const next =
    direction === 1
      ? (indexes.find((index) => index > from) ?? indexes[0])
      : (indexes.findLast((index) => index < from) ?? indexes.at(-1));
  selectAt(next);
}

function showOnly(state: GameServerState | undefined): void {
  filter = parseFilter(parts.filter.value, state);
  for (const chip of parts.counts.querySelectorAll<HTMLElement>('button'))
    chip.setAttribute('aria-pressed', String(chip.dataset['state'] === state));
  askForFrame();
}

function toggleState(state: GameServerState | undefined): void {
  showOnly(filter.state === state ? undefined : state);
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || parts.help.open) return;
  if (event.target === parts.filter) {
    if (event.key === 'Escape' || event.key === 'Enter') parts.fleet.focus();
    return;
  }
  const isOnFleet = event.target === parts.fleet || event.target === document.body;
  const from = Math.max(
    0,
    fleet.boxes().findIndex(({ key }) => key === selectedKey),
  );
  const isFirst = selectedKey === undefined;
  const to = isOnFleet ? boxAfterKey(layout, event.key, from, fleet.boxes().length) : undefined;
  if (to !== undefined) selectAt(isFirst ? from : to);
  else if (event.key === '/') parts.filter.focus();
  else if (event.key === '?') parts.help.showModal();
  else if (event.key === 'n') selectInterrupted(1);
  else if (event.key === 'p') selectInterrupted(-1);
  else if (/^[1-6]$/.test(event.key)) toggleState(stateNames[Number(event.key) - 1]);
  else return;
  event.preventDefault();
}

function onClick(event: MouseEvent): void {
  const { left, top } = parts.fleet.getBoundingClientRect();
  const place = { x: event.clientX - left, y: event.clientY - top + parts.fleet.scrollTop };
  selectAt(boxAt(layout, place));
}

function buildChips(): void {
  for (const state of stateNames) {
    const attributes = { type: 'button', class: 'chip', 'data-state': state, 'aria-pressed': 'false' };
    const chip = element('button', attributes, stateMark(state), element('b', {}, '0'), state);
    chip.addEventListener('click', () => toggleState(state));
    parts.counts.append(chip);
    const legend = element('span', { class: 'state' }, stateMark(state), state);
    pageElement('legend', HTMLUListElement).append(element('li', {}, legend, `: ${marks[state].means}`));
  }
}

function follow(): void {
  connect({
    snapshot: ({ rows, nodes, entries }) => {
      fleet.replace(rows, nodes);
      log.replace(entries);
      changed();
    },
    gameServer: (row: ShownRow, before) => {
      fleet.putGameServer(row);
      const { game_server_id: id, status, node, reason, deadline } = row;
      if (status !== before) {
        const at = new Date(nowMs()).toISOString();
        log.add({ at, subject: 'game-server', id, before, after: status, node, reason, deadline });
      }
      changed();
    },
    gameServerForgotten: (id) => {
      fleet.forgetGameServer(id);
      changed();
    },
    node: (row) => {
      fleet.putNode(row);
      const { key, node, status, kind, deadline } = row;
      const at = new Date(nowMs()).toISOString();
      log.add({ at, subject: 'node', id: node ?? key, before: null, after: status, node, reason: kind, deadline });
      if (status === 'interrupted') parts.spoken.textContent = `Node ${node ?? key} ${describeFate(row, nowMs())}`;
      changed();
    },
    nodeForgotten: (key) => {
      fleet.forgetNode(key);
      changed();
    },
    state: (state, offsetMs) => {
      clockOffsetMs = offsetMs;
      parts.connection.dataset['state'] = state;
      parts.connection.textContent = state;
    },
  });
}

buildChips();
// Keys control the picture, so it takes the focus, and a screen reader must pass the keys on.
parts.fleet.tabIndex = 0;
parts.fleet.setAttribute('role', 'application');
document.addEventListener('keydown', onKey);
parts.fleet.addEventListener('click', onClick);
parts.fleet.addEventListener('scroll', askForFrame, { passive: true });
parts.filter.addEventListener('input', () => showOnly(filter.state));
pageElement('help-button', HTMLButtonElement).addEventListener('click', () => parts.help.showModal());
new ResizeObserver(askForFrame).observe(parts.fleet);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  painter.renewColors();
  askForFrame();
});
setInterval(() => {
  if (!parts.alarms.hidden) drawCountdowns();
}, tickMs);
follow();
askForFrame();
