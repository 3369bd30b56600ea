import type { Writable } from 'node:stream';
import type { KubeletEvent, TellEvent } from './kubelet-event.ts';

const maxWaitingLogBytes = 4 * 1024 * 1024;
const maxWaitingBytes = 16 * 1024 * 1024;

/**
 * Writes one JSON line per event. A slow reader must not stop the kubelet: containers' lines are dropped first and
 * counted, everything else only if the reader has gone for good.
 */
export function writeEvents(out: Writable, now: () => number): TellEvent {
  let droppedLines = 0;
  out.on('error', () => undefined);
  const write = (event: KubeletEvent | { event: 'lines-dropped'; lines: number }): void => {
    out.write(`${JSON.stringify({ time: new Date(now()).toISOString(), ...event })}\n`);
  };
  return (event) => {
    if (out.destroyed) return;
    const waitingBytes = out.writableLength;
    if (waitingBytes > (event.event === 'log' ? maxWaitingLogBytes : maxWaitingBytes)) {
      droppedLines += 1;
      return;
    }
    if (droppedLines > 0) write({ event: 'lines-dropped', lines: droppedLines });
    droppedLines = 0;
    write(event);
  };
}
