import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import { sendRequest } from '../../shared/http/send-request.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { InterruptionReport } from './interruption-report.ts';

/** `json`: the report as it is. `slack`: a message for a Slack incoming webhook. */
export type WebhookFormat = 'json' | 'slack';

export interface WebhookOptions {
  readonly url: URL;
  readonly format: WebhookFormat;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

const attemptMs = 3000;
const backoff: Backoff = { firstMs: 500, maxMs: 10_000 };
/** Where no deadline ends it. */
const maxTryMs = 600_000;
/** Reports under way at once; a node has few interruptions. */
const maxUnderWay = 10;

/** Tells somebody outside by HTTP: at the notice and at the end, each until it is taken or the instance is. */
export class Webhook {
  readonly #options: WebhookOptions;
  #underWay = 0;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  /** Whether a report is under way. */
  get isBusy(): boolean {
    return this.#underWay > 0;
  }

  /** Never rejects. */
  async send(report: InterruptionReport, deadlineMs: number | undefined, signal: AbortSignal): Promise<void> {
    const { url, format, clock, log, random = Math.random } = this.#options;
    const { interruption_id: id, outcome } = report;
    if (this.#underWay >= maxUnderWay) {
      log.warn({ id, outcome }, 'Webhook not called: too many calls are under way');
      return;
    }
    this.#underWay++;
    const startMs = clock.now();
    const body = JSON.stringify(format === 'slack' ? slackMessage(report) : report);
    // Past the deadline there is nobody left to try; before it each attempt may still be the one.
    const giveUpMs = Math.max(deadlineMs ?? 0, startMs + attemptMs);
    const endMs = deadlineMs === undefined ? startMs + maxTryMs : Math.min(giveUpMs, startMs + maxTryMs);
    for (let failures = 0; !signal.aborted; ) {
      const failure = await post(url, body, signal);
      if (failure === undefined) break;
      failures++;
      if (signal.aborted) break;
      if (failures === 1) log.warn({ id, outcome, err: failure }, 'Cannot call webhook');
      const pauseMs = backoffMs(backoff, failures, random);
      if (clock.now() + pauseMs >= endMs) {
        log.error({ id, outcome, failures, err: failure }, 'Webhook given up');
        break;
      }
      await clock.sleep(pauseMs, signal).catch(() => {});
    }
    this.#underWay--;
  }
}

/** Why it was not taken; undefined where it was. The URL itself is a secret, and stays out of the text. */
async function post(url: URL, body: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const headers = { 'content-type': 'application/json' };
    const until = AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]);
    const response = await sendRequest({ url, method: 'POST', headers, body }, until);
    response.destroy();
    const { statusCode: status = 0 } = response;
    return status >= 200 && status < 300 ? undefined : `Cannot post to ${url.host}: HTTP ${status}`;
  } catch (error) {
    return `Cannot post to ${url.host}: ${errorText(error)}`;
  }
}

/** Slack shows `text` with its own mark-up, in which three characters have a meaning. */
export function slackMessage(report: InterruptionReport): { readonly text: string } {
  const { kind, action, node, outcome, deadline, pods, pods_left: left, is_rehearsal: isRehearsal } = report;
  const lines = [
    `*${isRehearsal ? 'Rehearsal: ' : ''}${kind}${action === 'none' ? '' : ` (${action})`}* on node \`${node}\`: ${outcome}`,
    ...(deadline === null ? [] : [`Deadline ${deadline}`]),
    ...podLines(pods.length, left),
  ];
  return { text: lines.join('\n').replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;') };
}

const maxNamed = 20;

function podLines(pods: number, left: readonly string[] | null): readonly string[] {
  if (left === null) return ['Pods left: not known'];
  const names = `${left.slice(0, maxNamed).join(', ')}${left.length > maxNamed ? ', ...' : ''}`;
  return [
    ...(pods === 0 ? [] : [`${pods - left.length} of ${pods} pods ended`]),
    ...(left.length === 0 ? [] : [`Left: ${names}`]),
  ];
}
