import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentSettings, policyOf } from '../../../agent/config.ts';
import { type HealthInputs, livenessProblems, readinessProblems } from '../../../agent/health/health.ts';
import { neededRights, notReviewed, rightName } from '../../../agent/health/review-rights.ts';
import { formatHelp } from '../../../shared/settings/format-help.ts';
import { readSettings } from '../../../shared/settings/read-settings.ts';

const well: HealthInputs = {
  pollIntervalMs: 1000,
  stalledMs: 900,
  deafOn: [],
  spotAgeMs: 1000,
  apiSilentMs: 0,
  seesNode: true,
  seesPods: true,
  rights: { isComplete: true, missing: [], missingOptional: ['create events'] },
};

describe('the agent', () => {
  test('is alive and ready when all is well, also without the rights that it can do without', () => {
    assert.deepEqual(livenessProblems(well), []);
    assert.deepEqual(readinessProblems(well), []);
  });

  test('is not alive when polling has stalled', () => {
    assert.deepEqual(livenessProblems({ ...well, stalledMs: 31_000 }), ['polling has stalled: no look for 31 s']);
  });

  test('is alive between two looks that are far apart by configuration', () => {
    assert.deepEqual(livenessProblems({ pollIntervalMs: 30_000, stalledMs: 100_000 }), []);
  });

  const table = [
    ['spot notices could not be read yet', { spotAgeMs: undefined }],
    ['spot notices could not be read for 31 s', { spotAgeMs: 31_000 }],
    ['the Kubernetes API has not answered for 11 s', { apiSilentMs: 11_000 }],
    ['the link does not listen on @spotable', { deafOn: ['@spotable'] }],
    ['the node was not seen yet', { seesNode: false }],
    ['the pods were not seen yet', { seesPods: false }],
    ['own rights are not known yet', { rights: notReviewed }],
    [
      'missing right: create pods/eviction',
      { rights: { isComplete: true, missing: ['create pods/eviction'], missingOptional: [] } },
    ],
  ] as const;
  for (const [complaint, changes] of table)
    test(`is not ready while ${complaint}, and alive all the same`, () => {
      assert.deepEqual(readinessProblems({ ...well, ...changes }), [complaint]);
      assert.deepEqual(livenessProblems({ ...well, ...changes }), []);
    });

  test('names its rights as RBAC rules are read aloud', () => {
    const names = neededRights.map(rightName);
    assert.ok(names.includes('create pods/eviction') && names.includes('create tokenreviews.authentication.k8s.io'));
  });
});

describe('the settings', () => {
  test('have defaults that a careful operator would choose', () => {
    const read = readSettings(agentSettings, { argv: [], env: { NODE_NAME: 'n-1' } });
    assert.ok(read.kind === 'settings');
    assert.deepEqual(policyOf(read.values), {
      responses: {
        'spot-termination': 'drain',
        rebalance: 'hold',
        maintenance: 'drain',
        'asg-termination': 'drain',
        rehearsal: 'drain',
      },
      maintenanceLeadMs: 1_800_000,
      assumedNoticeMs: 120_000,
    });
    assert.equal(read.values.linkTrust, 'token');
    assert.equal(read.values.dryRun, false);
  });

  test('report every problem together, by the name and value that were given', () => {
    const env = {
      NODE_NAME: 'Not A Node',
      ON_REBALANCE: 'panic',
      POLL_INTERVAL: '1ms',
      METRICS_PORT: '70000',
      LINK: 'relative/path',
      WEBHOOK_URL: 'ftp://x',
      DRY_RUN: 'perhaps',
    };
    const read = readSettings(agentSettings, { argv: ['--safety-margin', '2h'], env });
    assert.ok(read.kind === 'problems');
    assert.deepEqual(
      read.problems.map(({ message }) => message.split(': ')[0]),
      [
        'Invalid NODE_NAME "Not A Node"',
        'Invalid POLL_INTERVAL "1ms"',
        'Invalid ON_REBALANCE "panic"',
        'Invalid --safety-margin "2h"',
        'Invalid DRY_RUN "perhaps"',
        'Invalid LINK "relative/path"',
        'Invalid WEBHOOK_URL "ftp://x"',
        'Invalid METRICS_PORT "70000"',
      ],
    );
  });

  test('know a metrics port of none, of 0 and of a number', () => {
    const portOf = (METRICS_PORT: string) => {
      const read = readSettings(agentSettings, { argv: [], env: { NODE_NAME: 'n-1', METRICS_PORT } });
      return read.kind === 'settings' ? read.values.metricsPort : read.kind;
    };
    assert.deepEqual(['none', '0', '9101', 'x', '-1'].map(portOf), [undefined, 0, 9101, 'problems', 'problems']);
  });

  test('are all in the help', () => {
    const help = formatHelp(agentSettings, { usage: '', summary: '' });
    for (const { flag, env } of Object.values(agentSettings))
      assert.ok(help.includes(flag) && help.includes(`[${env}]`), flag);
  });
});
