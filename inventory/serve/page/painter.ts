import type { NodeRow } from '../../fold/rows.ts';
import { shortNodeName } from '../../short-node-name.ts';
import { countdown, isGoing, shareLeft } from './countdown.ts';
import { type Filter, type Fleet, isWanted, type NodeBox } from './fleet.ts';
import { boxesInView, boxPlace, cellPlace, type FleetLayout } from './layout.ts';
import { marks, stateNames } from './marks.ts';

export interface Picture {
  readonly fleet: Fleet;
  readonly layout: FleetLayout;
  readonly filter: Filter;
  readonly selectedKey: string | undefined;
  readonly scrollTop: number;
  readonly width: number;
  readonly height: number;
  readonly nowMs: number;
}

const colorNames = ['panel', 'panel-edge', 'text', 'quiet', 'focus', 'alarm', 'alarm-ground', ...stateNames] as const;
type Colors = Readonly<Record<(typeof colorNames)[number], string>>;

const paths = new Map(stateNames.map((state) => [state, new Path2D(marks[state].path)]));

/** Draws the part of the fleet that is in view: a few hundred boxes at most. */
export class Painter {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #colors: Colors;

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('Cannot paint the fleet: this browser has no canvas');
    this.#canvas = canvas;
    this.#context = context;
    this.#colors = readColors();
  }

  /** Call after a change between light and dark. */
  renewColors(): void {
    this.#colors = readColors();
  }

  paint(picture: Picture): void {
    const { width, height, scrollTop, layout, fleet } = picture;
    const ratio = window.devicePixelRatio;
    const [pixelWidth, pixelHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== pixelWidth || this.#canvas.height !== pixelHeight) {
      this.#canvas.width = pixelWidth;
      this.#canvas.height = pixelHeight;
      this.#canvas.style.width = `${width}px`;
      this.#canvas.style.height = `${height}px`;
    }
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#context.clearRect(0, 0, width, height);
    const boxes = fleet.boxes();
    const [first, end] = boxesInView(layout, scrollTop, height);
    for (let index = first; index < Math.min(end, boxes.length); index++) {
      const box = boxes[index];
      if (box === undefined) continue;
      const { x, y } = boxPlace(layout, index);
      this.#context.setTransform(ratio, 0, 0, ratio, x * ratio, Math.round((y - scrollTop) * ratio));
      this.#paintBox(box, fleet.nodeOf(box), picture);
    }
  }

  #paintBox(box: NodeBox, node: NodeRow | undefined, picture: Picture): void {
    const { layout, selectedKey, nowMs } = picture;
    const { boxWidth, boxHeight } = layout;
    const context = this.#context;
    const colors = this.#colors;
    const going = isGoing(node?.status);
    const isSelected = box.key === selectedKey;
    context.globalAlpha = 1;
    context.fillStyle = going ? colors['alarm-ground'] : colors.panel;
    context.strokeStyle = isSelected
      ? colors.focus
      : going || node?.status === 'at-risk'
        ? colors.alarm
        : colors['panel-edge'];
    context.lineWidth = isSelected ? 3 : going ? 2 : 1;
    context.setLineDash(node?.status === 'at-risk' ? [5, 4] : []);
    context.beginPath();
    context.roundRect(0.5, 0.5, boxWidth - 1, boxHeight - 1, 8);
    context.fill();
    context.stroke();
    context.setLineDash([]);
    this.#paintHeader(box, node, layout, nowMs);
    this.#paintGameServers(box, picture);
  }

  #paintHeader(box: NodeBox, node: NodeRow | undefined, { boxWidth, boxHeight }: FleetLayout, nowMs: number): void {
    const context = this.#context;
    const colors = this.#colors;
    let room = boxWidth - 20;
    context.textBaseline = 'alphabetic';
    if (node !== undefined && isGoing(node.status)) {
      const left = node.deadline === null ? 'going' : countdown(node.deadline, nowMs);
      context.font = '700 17px system-ui, sans-serif';
      context.textAlign = 'right';
      context.fillStyle = colors.alarm;
      context.fillText(left, boxWidth - 10, 24);
      room -= context.measureText(left).width + 8;
      context.textAlign = 'left';
      if (node.deadline !== null)
        context.fillRect(1, boxHeight - 4, (boxWidth - 2) * shareLeft(node.deadline, nowMs), 3);
    } else if (node?.status === 'at-risk') {
      context.font = '600 11px system-ui, sans-serif';
      context.textAlign = 'right';
      context.fillStyle = colors.alarm;
      context.fillText('at risk', boxWidth - 10, 17);
      room -= 46;
      context.textAlign = 'left';
    }
    context.font = '600 12px system-ui, sans-serif';
    context.fillStyle = colors.text;
    context.fillText(fit(context, shortNodeName(box.name), room), 10, 17);
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = colors.quiet;
    const facts = [box.zone, box.instanceType].filter((fact) => fact !== null).join(' · ');
    context.fillText(fit(context, facts, room), 10, 31);
  }

  #paintGameServers({ gameServers }: NodeBox, { layout, filter }: Picture): void {
    const context = this.#context;
    // The last cell shows how many do not fit.
    const shown = gameServers.length > layout.cells ? layout.cells - 2 : gameServers.length;
    for (let index = 0; index < shown; index++) {
      const row = gameServers[index];
      const path = row && paths.get(row.status);
      if (row === undefined || path === undefined) continue;
      const { x, y } = cellPlace(layout, index);
      context.globalAlpha = isWanted(row, filter) ? 1 : 0.12;
      context.translate(x, y);
      if (marks[row.status].isFilled) {
        context.fillStyle = this.#colors[row.status];
        context.fill(path);
      } else {
        context.strokeStyle = this.#colors[row.status];
        context.lineWidth = 2;
        context.stroke(path);
      }
      context.translate(-x, -y);
    }
    context.globalAlpha = 1;
    if (shown === gameServers.length) return;
    const { x, y } = cellPlace(layout, shown);
    context.font = '600 11px system-ui, sans-serif';
    context.fillStyle = this.#colors.quiet;
    context.fillText(`+${gameServers.length - shown}`, x, y + 10);
  }
}

function readColors(): Colors {
  // A canvas does not resolve light-dark(), but the computed colour of an element does.
  const probe = document.createElement('i');
  document.body.append(probe);
  const entries = colorNames.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(entries) as Colors;
}

function fit(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let length = Math.floor((text.length * width) / context.measureText(text).width);
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length--;
  return `${text.slice(0, Math.max(1, length))}…`;
}
