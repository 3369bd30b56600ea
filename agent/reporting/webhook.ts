import type { Dispatcher } from 'undici';
import type { Clock } from '../../shared/clock.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import type { InterruptionReport } from './interruption-report.ts';

/** `json`: the report itself. `slack`: a message for a Slack incoming webhook. */
export type WebhookFormat = 'json' | 'slack';

/** The location of the interrupted node. null: unknown. */
export interface NodePlace {
  readonly instance_id: string | null;
  readonly instance_type: string | null;
  readonly region: string | null;
  readonly zone: string | null;
  readonly account_id: string | null;
  readonly node_labels: Readonly<Record<string, string>>;
}

export interface WebhookOptions {
  readonly url: URL;
  /** Sent with each call. Secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** The HTTP proxy that calls go through. */
  readonly proxy: URL | undefined;
  readonly place: () => NodePlace;
  /** Called when a report was not accepted and is given up. */
  readonly onGivenUp: () => void;
  readonly format: WebhookFormat;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

const attemptMs = 3000;
const backoff: Backoff = { firstMs: 500, maxMs: 10_000 };
/** Time limit if there is no deadline. */
const maxTryMs = 600_000;
/** Maximum number of reports in flight; a node has few interruptions. */
const maxUnderWay = 10;

/** Posts the report at the notice and at the end, each until it is accepted or the instance is gone. */
export class Webhook {
  readonly #options: WebhookOptions;
  #dispatcher: Dispatcher | undefined;
  #underWay = 0;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  /** Whether a report is in flight. */
  get isBusy(): boolean {
    return this.#underWay > 0;
  }

  /** Never rejects. */
  async send(report: InterruptionReport, deadlineMs: number | undefined, signal: AbortSignal): Promise<void> {
    const { format, clock, log, place, onGivenUp, random } = this.#options;
    const { interruption_id: id, outcome } = report;
    if (this.#underWay >= maxUnderWay) {
      log.warn({ id, outcome }, 'Webhook not called: too many calls in flight');
      onGivenUp();
      return;
    }
    this.#underWay++;
    const startMs = clock.now();
    const body = JSON.stringify(format === 'slack' ? slackMessage(report, place()) : { ...report, ...place() });
    const causes = new NewCauses();
    // Past the deadline the instance is gone. Before it, any attempt may succeed.
    const giveUpMs = Math.max(deadlineMs ?? 0, startMs + attemptMs);
    const endMs = deadlineMs === undefined ? startMs + maxTryMs : Math.min(giveUpMs, startMs + maxTryMs);
    const retries = new RetryPause({ backoff, clock, random });
    while (!signal.aborted) {
      const failure = await this.#post(body, signal);
      if (failure === undefined) break;
      if (signal.aborted) break;
      const failures = retries.failed();
      if (causes.isNew(failure)) log.warn({ id, outcome, err: failure }, 'Cannot call webhook');
      const pauseMs = retries.nextMs();
      if (clock.now() + pauseMs >= endMs) {
        log.error({ id, outcome, failures, err: failure }, 'Webhook given up');
        onGivenUp();
        break;
      }
      await clock.sleep(pauseMs, signal).catch(() => {});
    }
    this.#underWay--;
  }

  /** Why the report was not accepted; undefined: it was. The URL is a secret and stays out of the text. */
  async #post(body: string, signal: AbortSignal): Promise<string | undefined> {
    const { url, headers: own } = this.#options;
    try {
      // Loaded with the first report, to save an idle agent its memory.
      const { fetch } = await import('undici');
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...own },
        body,
        // A redirect would turn the POST into a GET, or leak the headers to another host.
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]),
        dispatcher: await this.#route(),
      });
      await response.body?.cancel();
      return response.ok ? undefined : `Cannot post to ${url.host}: HTTP ${response.status}`;
    } catch (error) {
      return `Cannot post to ${url.host}: ${errorText(error)}`;
    }
  }

  /** HTTP/1.1 with a new connection per call, because calls may be minutes apart. */
  async #route(): Promise<Dispatcher> {
    const { Agent, ProxyAgent } = await import('undici');
    const options = { allowH2: false, pipelining: 0 };
    const { proxy } = this.#options;
    this.#dispatcher ??= proxy === undefined ? new Agent(options) : new ProxyAgent({ uri: proxy.href, ...options });
    return this.#dispatcher;
  }
}

/** Slack's `text` has its own markup, in which three characters are special. */
export function slackMessage(report: InterruptionReport, place: NodePlace): { readonly text: string } {
  const { kind, action, node, outcome, deadline, pods, pods_left: left, is_rehearsal: isRehearsal } = report;
  const lines = [
    `*${isRehearsal ? 'Rehearsal: ' : ''}${kind}${action === 'none' ? '' : ` (${action})`}* on node \`${node}\`: ${outcome}`,
    ...placeLines(place),
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

function placeLines({ instance_id, instance_type, zone, account_id }: NodePlace): readonly string[] {
  const known = [instance_id, instance_type, zone, account_id].filter((fact) => fact !== null);
  return known.length === 0 ? [] : [known.join(', ')];
}
