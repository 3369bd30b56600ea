import type { GameServerState } from '../../../shared/events/event.ts';
import { marks } from './marks.ts';

/** Creates an element with children. Strings become text nodes, so that senders cannot inject markup. */
export function element(
  tag: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (Node | string)[]
): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The page's element of this ID. Throws an Error if page and script do not match. */
export function pageElement<E extends HTMLElement>(id: string, kind: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`Cannot find #${id} in the page`);
  return found;
}

const svgNamespace = 'http://www.w3.org/2000/svg';

export function stateMark(state: GameServerState): Element {
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('viewBox', '0 0 12 12');
  svg.setAttribute('class', 'mark');
  svg.setAttribute('data-state', state);
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(svgNamespace, 'path');
  const { path: shape, isFilled } = marks[state];
  path.setAttribute('d', shape);
  path.setAttribute('fill', isFilled ? 'currentColor' : 'none');
  if (!isFilled) {
    path.setAttribute('stroke', 'currentColor');
    path.setAttribute('stroke-width', '2');
  }
  svg.append(path);
  return svg;
}

export function stateBadge(state: GameServerState): HTMLElement {
  return element('span', { class: 'state' }, stateMark(state), state);
}
