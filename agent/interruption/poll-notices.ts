import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Notice } from '../../shared/interruption/interruption.ts';
import { type ParsedNotice, parseSpotNotice, spotNoticePath } from '../../shared/interruption/parse-spot-notice.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { MetadataClient } from '../../shared/metadata/metadata-client.ts';
import type { Observation } from './track-interruption.ts';

/** Where notices of one kind are announced. */
interface NoticeSource {
  readonly path: string;
  readonly parse: (body: string, instanceId: string) => ParsedNotice;
}

const sources: readonly NoticeSource[] = [{ path: spotNoticePath, parse: parseSpotNotice }];

export interface PollNoticesOptions {
  readonly metadata: MetadataClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
  /** Part of a notice's identity; the node's name where the metadata service does not say. */
  readonly instanceId: () => string;
  readonly random?: () => number;
}

/** A look that failed is repeated soon: a spot node has at most two minutes. */
const afterFailure: Backoff = { firstMs: 200, longestMs: 2000 };

/** Looks at the metadata service for ever, until the signal aborts. No failure ends it; changes of health are logged once. */
export async function* pollNotices(
  options: PollNoticesOptions,
  signal: AbortSignal,
): AsyncGenerator<Observation, void> {
  const { clock, log, intervalMs, random = Math.random } = options;
  let failures = 0;
  while (!signal.aborted) {
    const { notices, problems } = await lookOnce(options, signal);
    if (signal.aborted) return;
    if (problems.length > 0 && failures === 0) log.warn({ problems }, 'Cannot read interruption notices');
    if (problems.length === 0 && failures > 0) log.info({ failures }, 'Interruption notices are readable again');
    failures = problems.length > 0 ? failures + 1 : 0;
    yield { notices, isComplete: problems.length === 0 };
    const pauseMs = failures > 0 ? backoffMs(afterFailure, failures, random) : intervalMs * (0.9 + 0.2 * random());
    await clock.sleep(pauseMs, signal).catch(() => {});
  }
}

interface Look {
  readonly notices: readonly Notice[];
  readonly problems: readonly string[];
}

async function lookOnce({ metadata, instanceId }: PollNoticesOptions, signal: AbortSignal): Promise<Look> {
  const notices: Notice[] = [];
  const problems: string[] = [];
  await Promise.all(
    sources.map(async ({ path, parse }) => {
      try {
        const answer = await metadata.get(path, signal);
        if (answer.kind === 'absent') return;
        const parsed = parse(answer.body, instanceId());
        if ('notice' in parsed) notices.push(parsed.notice);
        else problems.push(`${path}: ${parsed.garbage}`);
      } catch (error) {
        problems.push(errorText(error));
      }
    }),
  );
  return { notices, problems };
}
