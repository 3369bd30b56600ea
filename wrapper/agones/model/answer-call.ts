import { instant } from '../../../shared/interruption/interruption.ts';
import type { Answer } from './answer.ts';
import { answerCounterCall } from './counter-calls.ts';
import { answerListCall } from './list-calls.ts';
import { setMetadata } from './metadata-calls.ts';
import { answerPlayerCall } from './player-calls.ts';
import type { SdkCall } from './sdk-call.ts';
import { changed, type SdkModel, type SdkState } from './sdk-model.ts';

/** The longest time that our timers support; treat a longer reservation as permanent. */
const maxReservationSeconds = 2_000_000n;

/** The time of the last allocation: an annotation that Agones sets too. */
const lastAllocated = 'agones.dev/last-allocated';

/**
 * Takes one call; returns the new model and the answer. The caller answers `get-game-server`, because it has the rest
 * of the document.
 */
export function answerCall(
  model: SdkModel,
  call: Exclude<SdkCall, { kind: 'get-game-server' }>,
  nowMs: number,
): Answer {
  switch (call.kind) {
    case 'ready':
      return turnedTo(model, 'Ready');
    case 'allocate':
      return turnedTo(model, 'Allocated', undefined, {
        annotations: new Map(model.annotations).set(lastAllocated, instant(nowMs)),
      });
    case 'shutdown':
      return turnedTo(model, 'Shutdown');
    case 'reserve': {
      const isTimed = call.seconds > 0n && call.seconds <= maxReservationSeconds;
      return turnedTo(model, 'Reserved', isTimed ? nowMs + Number(call.seconds) * 1000 : undefined);
    }
    case 'health':
      return { model: healthy(model, nowMs), reply: {} };
    case 'set-label':
      return setMetadata(model, 'label', call.key, call.value);
    case 'set-annotation':
      return setMetadata(model, 'annotation', call.key, call.value);
    case 'get-counter':
    case 'update-counter':
      return answerCounterCall(model, call);
    case 'get-list':
    case 'update-list':
    case 'add-list-value':
    case 'remove-list-value':
      return answerListCall(model, call);
    default:
      return answerPlayerCall(model, call);
  }
}

/** Shutdown is final: later calls have no effect, as in Agones. */
function turnedTo(model: SdkModel, state: SdkState, reservedUntilMs?: number, stamp: Partial<SdkModel> = {}): Answer {
  const stays = model.state === 'Shutdown' || (model.state === state && model.reservedUntilMs === reservedUntilMs);
  return { model: stays ? model : changed(model, { state, reservedUntilMs, ...stamp }), reply: {} };
}

/** A Health() is news to watchers only after the game had been silent for too long. */
function healthy(model: SdkModel, nowMs: number): SdkModel {
  // Keep counting from the end of the initial delay if that is later.
  const healthyAtMs = Math.max(model.healthyAtMs, nowMs);
  return model.isUnhealthy ? changed(model, { healthyAtMs, isUnhealthy: false }) : { ...model, healthyAtMs };
}
