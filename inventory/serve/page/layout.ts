/** All lengths in CSS pixels. */
export interface FleetLayout {
  readonly columns: number;
  readonly boxWidth: number;
  readonly boxHeight: number;
  readonly cellsPerRow: number;
  /** Game servers that fit into a box; the others are shown as a number. */
  readonly cells: number;
  /** Height of the whole fleet. */
  readonly height: number;
}

export interface Place {
  readonly x: number;
  readonly y: number;
}

export const gap = 10;
export const headerHeight = 40;
export const cellSize = 16;
const padding = 10;
const leastBoxWidth = 190;
/** Taller boxes would make it hard to see the whole fleet. */
const maxCellRows = 6;

/** Equal boxes in a grid: a box's place follows from its number, so only boxes in view are processed. */
export function layOutFleet(width: number, boxes: number, maxGameServers: number): FleetLayout {
  const columns = Math.max(1, Math.floor((width - gap) / (leastBoxWidth + gap)));
  const boxWidth = Math.max(4 * cellSize, Math.floor((width - gap) / columns) - gap);
  const cellsPerRow = Math.max(1, Math.floor((boxWidth - 2 * padding) / cellSize));
  const cellRows = Math.min(maxCellRows, Math.max(1, Math.ceil(maxGameServers / cellsPerRow)));
  const boxHeight = headerHeight + cellRows * cellSize + padding;
  const rows = Math.ceil(boxes / columns);
  return {
    columns,
    boxWidth,
    boxHeight,
    cellsPerRow,
    cells: cellRows * cellsPerRow,
    height: rows * (boxHeight + gap) + gap,
  };
}

/** The upper left corner of a box in the whole fleet. */
export function boxPlace({ columns, boxWidth, boxHeight }: FleetLayout, index: number): Place {
  return {
    x: gap + (index % columns) * (boxWidth + gap),
    y: gap + Math.floor(index / columns) * (boxHeight + gap),
  };
}

/** The upper left corner of a game server in its box. */
export function cellPlace({ cellsPerRow }: FleetLayout, index: number): Place {
  return {
    x: padding + (index % cellsPerRow) * cellSize,
    y: headerHeight + Math.floor(index / cellsPerRow) * cellSize,
  };
}

/** The numbers of the boxes between two heights, the second number excluded. */
export function boxesInView(
  { columns, boxHeight }: FleetLayout,
  top: number,
  height: number,
): readonly [first: number, end: number] {
  const firstRow = Math.max(0, Math.floor((top - gap) / (boxHeight + gap)));
  const endRow = Math.ceil((top + height) / (boxHeight + gap));
  return [firstRow * columns, Math.max(0, endRow) * columns];
}

/** The number of the box at a place; undefined between boxes. */
export function boxAt(layout: FleetLayout, { x, y }: Place): number | undefined {
  const { columns, boxWidth, boxHeight } = layout;
  const column = Math.floor((x - gap) / (boxWidth + gap));
  const row = Math.floor((y - gap) / (boxHeight + gap));
  if (column < 0 || column >= columns || row < 0) return undefined;
  const index = row * columns + column;
  const place = boxPlace(layout, index);
  return x <= place.x + boxWidth && y <= place.y + boxHeight ? index : undefined;
}

const steps: Readonly<Record<string, (columns: number) => number>> = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: (columns) => -columns,
  ArrowDown: (columns) => columns,
};

/** The box that an arrow key leads to; undefined: none. */
export function boxAfterKey({ columns }: FleetLayout, key: string, from: number, boxes: number): number | undefined {
  if (key === 'Home') return 0;
  if (key === 'End') return boxes - 1;
  const step = Object.hasOwn(steps, key) ? steps[key]?.(columns) : undefined;
  if (step === undefined) return undefined;
  const to = from + step;
  return to < 0 || to >= boxes ? from : to;
}
