import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InterruptionJournal, type JournalParts } from '../../../agent/reporting/interruption-journal.ts';
import type { InterruptionReport } from '../../../agent/reporting/interruption-report.ts';
import { AgentMetrics } from '../../../agent/reporting/metrics.ts';
import { type NodePlace, slackMessage } from '../../../agent/reporting/webhook.ts';
import { silentLog } from '../../../shared/log.ts';
import { noon, planned, pod, rehearsal, spot } from './agent-values.ts';

function scene(interruption = planned(spot)) {
  let nowMs = noon;
  const reports: InterruptionReport[] = [];
  const events: string[] = [];
  const metrics = new AgentMetrics('0.0.0');
  const parts: JournalParts = {
    node: 'n-1',
    clock: { now: () => nowMs, sleep: async () => {} },
    log: silentLog,
    metrics,
    events: {
      onNode: (_, reason, message) => events.push(`node ${reason}: ${message}`),
      onPod: ({ name }, type, reason) => events.push(`${name} ${type} ${reason}`),
    },
    tell: (report) => reports.push(report),
  };
  const journal = new InterruptionJournal(parts, interruption);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const scrape = async (name: string) =>
    (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(name) && !line.includes('_bucket'));
  return { journal, reports, events, pass, scrape };
}

describe('the journal of an interruption', () => {
  test('says when each pod was asked, how, and when it was gone', () => {
    const { journal, reports, pass } = scene();
    journal.begun(false);
    pass(4);
    journal.told({ told: 2, firstMs: noon + 3, lastMs: noon + 4 });
    journal.onSeen(pod({ name: 'a' }));
    journal.onSeen(pod({ name: 'b', labels: { 'spotable.dev/game-server': 'true' } }));
    pass(20);
    journal.cordoned();
    journal.onAsked(pod({ name: 'a' }), 'evicted', 30);
    journal.onRefused(pod({ name: 'b' }), 'budget', 'budget b');
    journal.onRefused(pod({ name: 'b' }), 'budget', 'budget b');
    pass(60_000);
    journal.onAsked(pod({ name: 'b' }), 'deleted-budget', 55);
    journal.gameEnded('uid-b', 0);
    journal.onGone(pod({ name: 'a' }));
    pass(1000);
    journal.onGone(pod({ name: 'b' }));
    journal.close('drained');
    assert.deepEqual(reports.at(-1), {
      interruption_id: spot.id,
      kind: 'spot-termination',
      action: 'terminate',
      response: 'drain',
      is_rehearsal: false,
      node: 'n-1',
      outcome: 'drained',
      first_seen: '2026-04-24T12:00:00.000Z',
      deadline: '2026-04-24T12:02:00.000Z',
      wrappers_told: 2,
      first_told_ms: 3,
      last_told_ms: 4,
      cordoned_ms: 24,
      last_pod_gone_ms: 61_024,
      seconds_left: 59,
      pods_left: [],
      volumes_left: [],
      pods: [
        {
          pod: 'arena/a',
          is_game_server: false,
          how: 'evicted',
          grace_seconds: 30,
          refusals: 0,
          asked_ms: 24,
          ended_ms: null,
          gone_ms: 60_024,
          exit_code: null,
        },
        {
          pod: 'arena/b',
          is_game_server: true,
          how: 'deleted-budget',
          grace_seconds: 55,
          refusals: 2,
          asked_ms: 60_024,
          ended_ms: null,
          gone_ms: 61_024,
          exit_code: 0,
        },
      ],
    });
  });

  test('keeps a pod as gone whose end was seen before the answer to its eviction', () => {
    const { journal, reports } = scene();
    journal.onSeen(pod({ name: 'a' }));
    journal.onGone(pod({ name: 'a' }));
    journal.onAsked(pod({ name: 'a' }), 'evicted', 30);
    journal.close('drained');
    assert.deepEqual(reports.at(-1)?.pods_left, []);
  });

  test('is closed once, whoever calls last', () => {
    const { journal, reports } = scene();
    journal.close('incomplete');
    journal.close('drained');
    journal.close('cancelled');
    assert.deepEqual(
      reports.map(({ outcome }) => outcome),
      ['incomplete'],
    );
  });

  test('is open again when a rehearsal becomes real', () => {
    const { journal, reports } = scene(planned(rehearsal));
    journal.close('drained');
    journal.changed(planned(spot));
    journal.close('drained');
    assert.deepEqual(
      reports.map(({ kind, is_rehearsal }) => [kind, is_rehearsal]),
      [
        ['rehearsal', true],
        ['spot-termination', false],
      ],
    );
  });

  test('keeps a pod that was evicted and hurried as evicted', () => {
    const { journal, reports } = scene();
    journal.onAsked(pod(), 'evicted', 115);
    journal.onAsked(pod(), 'deleted-outlives', 20);
    journal.close('incomplete');
    assert.deepEqual(reports[0]?.pods[0] && [reports[0].pods[0].how, reports[0].pods[0].grace_seconds], [
      'evicted',
      20,
    ]);
    assert.deepEqual(reports[0]?.pods_left, ['arena/gs-1']);
  });

  test('writes events about the node, each pod asked and the first refusal, and says rehearsal where it is one', () => {
    const { journal, events } = scene(planned(rehearsal));
    journal.begun(false);
    journal.onSeen(pod());
    journal.onRefused(pod(), 'budget', 'budget');
    journal.onRefused(pod(), 'budget', 'budget');
    journal.onAsked(pod(), 'deleted-budget', 5);
    journal.close('drained');
    assert.deepEqual(events, [
      'node InterruptionNoticed: rehearsal of an interruption at 2026-04-24T12:01:30.000Z',
      'gs-1 Warning EvictionRefused',
      'gs-1 Warning InterruptionDrain',
      'node NodeDrained: Interruption drained with 90 s left: 0 of 1 pods ended; left: arena/gs-1',
    ]);
  });

  test('counts by kind and outcome, and has no series for ids, pods or nodes', async () => {
    const { journal, scrape, pass } = scene();
    journal.begun(false);
    journal.told({ told: 1, firstMs: noon + 10, lastMs: noon + 20 });
    for (let index = 0; index < 500; index++) journal.onAsked(pod({ name: `gs-${index}` }), 'evicted', 30);
    pass(1000);
    journal.close('incomplete');
    assert.deepEqual(await scrape('spotable_interruptions_ended_total'), [
      'spotable_interruptions_ended_total{kind="spot-termination",outcome="incomplete"} 1',
    ]);
    assert.deepEqual(await scrape('spotable_pods_alive_at_deadline'), [
      'spotable_pods_alive_at_deadline{kind="spot-termination"} 500',
    ]);
    assert.deepEqual(await scrape('spotable_notice_to_last_told_seconds_sum'), [
      'spotable_notice_to_last_told_seconds_sum{kind="spot-termination"} 0.02',
    ]);
    const everything = await scrape('spotable_');
    assert.ok(everything.length < 60, `${everything.length} series`);
    assert.doesNotMatch(everything.join('\n'), /gs-|i-1|n-1|arena/);
  });
});

test('a Slack message names what happened, and lets nobody write mark-up through a name', () => {
  const { journal, reports } = scene(planned(rehearsal));
  journal.onSeen(pod({ name: '<!channel>&' }));
  journal.close('incomplete');
  const [report] = reports;
  assert.ok(report !== undefined);
  const place: NodePlace = {
    instance_id: 'i-1',
    instance_type: 'c6i.large',
    region: null,
    zone: 'eu-west-1a',
    account_id: null,
    node_labels: {},
  };
  assert.deepEqual(slackMessage(report, place), {
    text: [
      '*Rehearsal: rehearsal* on node `n-1`: incomplete',
      'i-1, c6i.large, eu-west-1a',
      'Deadline 2026-04-24T12:01:30.000Z',
      '0 of 1 pods ended',
      'Left: arena/&lt;!channel&gt;&amp;',
    ].join('\n'),
  });
});
