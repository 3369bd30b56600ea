import { instant } from '../../../shared/interruption/interruption.ts';
import type { Answer } from './answer.ts';
import { answerCounterCall } from './counter-calls.ts';
import { answerListCall } from './list-calls.ts';
import { setMetadata } from './metadata-calls.ts';
import { answerPlayerCall } from './player-calls.ts';
import type { SdkCall } from './sdk-call.ts';
import { changed, type SdkModel, type SdkState } from './sdk-model.ts';

/** The longest time that a timer of ours can wait for; a longer reservation is one for good. */
const maxReservationSeconds = 2_000_000n;

/** When it was last allocated: an annotation that Agones sets too. */
const lastAllocated = 'agones.dev/last-allocated';

/**
 * One call in, the new model and the answer out. `get-game-server` is answered by the caller, who has the rest of the
 * document.
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

/** Shutdown is final: what a game says afterwards is heard without an effect, as Agones does. */
function turnedTo(model: SdkModel, state: SdkState, reservedUntilMs?: number, stamp: Partial<SdkModel> = {}): Answer {
  const stays = model.state === 'Shutdown' || (model.state === state && model.reservedUntilMs === reservedUntilMs);
  return { model: stays ? model : changed(model, { state, reservedUntilMs, ...stamp }), reply: {} };
}

/** A Health() is news to watchers only where the game had been silent for too long. */
function healthy(model: SdkModel, nowMs: number): SdkModel {
  // The initial delay counts on.
  const healthyAtMs = Math.max(model.healthyAtMs, nowMs);
  return model.isUnhealthy ? changed(model, { healthyAtMs, isUnhealthy: false }) : { ...model, healthyAtMs };
}
