import type { PlayerReport } from '../game/player.ts';
import type { DemoEvent } from './demo-event.ts';

export interface DemoFacts {
  readonly scenario: string;
  readonly noticeMs: number;
  readonly isApiDown: boolean;
  /** Game pods on the doomed node at the time of the notice. */
  readonly pods: readonly string[];
  /** Pods whose game is expected to be killed because it ignores SIGTERM. */
  readonly stubborn: readonly string[];
  /** Pods that remained at the end, or whose state is unknown. */
  readonly podsLeft: readonly string[];
  readonly eventsPublished: number;
  readonly eventsReceived: number;
  readonly isInventoryConsistent: boolean;
  /** Figures of the players behind the fan-out proxy, if there are any. */
  readonly players: PlayerReport | undefined;
}

/** The output of `--json`. Durations are milliseconds since the agent first saw the notice. */
export interface DemoSummary {
  readonly scenario: string;
  readonly ok: boolean;
  readonly gameServers: number;
  readonly notice_s: number;
  readonly games_told: number;
  readonly notice_seen_to_first_told_ms: number | null;
  readonly notice_seen_to_last_told_ms: number | null;
  readonly notice_seen_to_cordon_ms: number | null;
  readonly games_exited_cleanly: number;
  readonly games_killed: number;
  /** Time between the last kill and the deadline. */
  readonly killed_before_deadline_ms: number | null;
  readonly games_running_at_deadline: number;
  readonly pods_left_at_deadline: number;
  readonly pods_evicted: number;
  readonly pods_deleted: number;
  readonly replacements_ready: number;
  readonly events_published: number;
  readonly events_received: number;
  readonly inventory_consistent: boolean;
  readonly node_given_back: boolean;
  readonly players_moves_sent: number | null;
  readonly players_moves_lost: number | null;
  readonly players_longest_silence_ms: number | null;
  /** Why `ok` is false. */
  readonly problems: readonly string[];
}

type Of<Kind extends DemoEvent['kind']> = Extract<DemoEvent, { kind: Kind }>;

/** No game may be killed earlier before the deadline: 5 s safety margin, 1 s for the last event, and some slack. */
const earliestKillMs = 8000;

/** 0, or death by SIGTERM: many games keep that signal's default. */
const cleanExits: readonly number[] = [0, 128 + 15];

/** A longer pause would look to a player like a hanging game. */
const maxSilenceMs = 500;

/** Draws the conclusions. */
export function summarize(demoEvents: readonly DemoEvent[], facts: DemoFacts): DemoSummary {
  const all = <Kind extends DemoEvent['kind']>(kind: Kind) =>
    demoEvents.filter((demoEvent): demoEvent is Of<Kind> => demoEvent.kind === kind);
  const seenMs = all('notice-seen')[0]?.atMs;
  const [announced] = [...all('notice-announced'), ...all('rehearsal-asked')];
  const deadlineMs = announced?.deadlineMs ?? Number.POSITIVE_INFINITY;
  const sinceSeen = (atMs: number | undefined) => (atMs === undefined || seenMs === undefined ? null : atMs - seenMs);
  const isOurs = ({ pod }: { readonly pod: string }) => facts.pods.includes(pod);
  const told = firstPerPod(all('game-told').filter(isOurs)).map(({ atMs }) => atMs);
  const ended = firstPerPod(all('game-ended').filter(isOurs));
  const killed = firstPerPod(all('game-killed').filter(isOurs));
  const isKilled = ({ pod }: { readonly pod: string }) => killed.some((kill) => kill.pod === pod);
  const asked = all('pod-asked').filter(isOurs);
  const replacements = all('game-ready').filter(({ pod, atMs }) => !facts.pods.includes(pod) && atMs >= (seenMs ?? 0));
  const lastKillMs = killed.at(-1)?.atMs;
  const measured = {
    gameServers: facts.pods.length,
    notice_s: facts.noticeMs / 1000,
    games_told: told.length,
    notice_seen_to_first_told_ms: told.length === 0 ? null : sinceSeen(Math.min(...told)),
    notice_seen_to_last_told_ms: told.length === 0 ? null : sinceSeen(Math.max(...told)),
    notice_seen_to_cordon_ms: sinceSeen(all('node-cordoned')[0]?.atMs),
    games_exited_cleanly: ended.filter((end) => cleanExits.includes(end.exitCode) && !isKilled(end)).length,
    games_killed: killed.length,
    killed_before_deadline_ms: lastKillMs === undefined ? null : deadlineMs - lastKillMs,
    games_running_at_deadline: facts.pods.length - ended.filter(({ atMs }) => atMs <= deadlineMs).length,
    pods_left_at_deadline: facts.podsLeft.length,
    pods_evicted: asked.filter(({ how }) => how === 'evicted').length,
    pods_deleted: asked.filter(({ how }) => how === 'deleted-budget').length,
    replacements_ready: firstPerPod(replacements).length,
    events_published: facts.eventsPublished,
    events_received: facts.eventsReceived,
    inventory_consistent: facts.isInventoryConsistent,
    node_given_back: all('node-uncordoned').length > 0,
    players_moves_sent: facts.players?.sent ?? null,
    players_moves_lost: facts.players?.lost ?? null,
    players_longest_silence_ms: facts.players?.maxGapMs ?? null,
  };
  const problems = findProblems(measured, facts);
  return { scenario: facts.scenario, ok: problems.length === 0, ...measured, problems };
}

function findProblems(measured: Omit<DemoSummary, 'scenario' | 'ok' | 'problems'>, facts: DemoFacts): string[] {
  const { pods, stubborn, isApiDown } = facts;
  const expected: ReadonlyArray<readonly [boolean, string]> = [
    [measured.games_told === pods.length, `${measured.games_told} of ${pods.length} games were told`],
    [
      measured.games_exited_cleanly === pods.length - stubborn.length,
      `${measured.games_exited_cleanly} games ended cleanly, expected ${pods.length - stubborn.length}`,
    ],
    [
      measured.games_killed === stubborn.length,
      `${measured.games_killed} games were killed, expected ${stubborn.length}`,
    ],
    [
      (measured.killed_before_deadline_ms ?? 0) >= 0 && (measured.killed_before_deadline_ms ?? 0) <= earliestKillMs,
      `the stubborn game was killed ${measured.killed_before_deadline_ms} ms before the deadline`,
    ],
    [measured.games_running_at_deadline === 0, `${measured.games_running_at_deadline} games ran at the deadline`],
    [isApiDown || measured.pods_left_at_deadline === 0, `${measured.pods_left_at_deadline} pods were left`],
    [isApiDown || measured.notice_seen_to_cordon_ms !== null, 'the node was not cordoned'],
    [isApiDown || measured.replacements_ready === pods.length, `${measured.replacements_ready} replacements are ready`],
    [facts.scenario !== 'rehearsal' || measured.node_given_back, 'the node was not given back'],
    [
      measured.players_moves_lost === null || measured.players_moves_lost === 0,
      `players lost ${measured.players_moves_lost} moves`,
    ],
    [
      (measured.players_longest_silence_ms ?? 0) < maxSilenceMs,
      `players heard nothing for ${measured.players_longest_silence_ms} ms`,
    ],
    [measured.inventory_consistent, 'the inventory does not say what is true'],
  ];
  return expected.filter(([isMet]) => !isMet).map(([, problem]) => problem);
}

function firstPerPod<H extends { readonly pod: string }>(demoEvents: readonly H[]): readonly H[] {
  const first = new Map<string, H>();
  for (const demoEvent of demoEvents) if (!first.has(demoEvent.pod)) first.set(demoEvent.pod, demoEvent);
  return [...first.values()];
}
