import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentMetrics } from '../../../agent/reporting/metrics.ts';
import { parseManifests, readProjectFile } from './manifest-files.ts';

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

const folder = 'manifests/components/monitoring';
const alerts = parseManifests(readProjectFile(`${folder}/alerts.yaml`)).flatMap(({ spec }) =>
  (spec as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules),
);
const dashboard = JSON.parse(readProjectFile(`${folder}/dashboard.json`)) as {
  panels: { id: number; title: string; targets: { expr: string }[] }[];
};
const expressions = [
  ...alerts.map(({ expr }) => expr),
  ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
];

/** Metrics of the agent by name, with the labels of each. */
function agentMetrics(): ReadonlyMap<string, readonly string[]> {
  const metrics = new AgentMetrics('1');
  const zero = () => 0;
  metrics.watch({
    lastGoodPollAgeSeconds: zero,
    linkedWrappers: zero,
    inventoryWaiting: zero,
    missingRights: zero,
    clockSkewSeconds: zero,
    kubernetesSilentSeconds: zero,
    deafAddresses: zero,
    cordonPendingSeconds: zero,
  });
  const all = metrics.registry.getMetricsAsArray() as unknown as { name: string; type: string; labelNames: string[] }[];
  return new Map(
    all.flatMap(({ name, type, labelNames }) => {
      const names = type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name];
      return names.map((one) => [one, labelNames ?? []] as const);
    }),
  );
}

const known = agentMetrics();
/** What Prometheus, its relabeling and histograms add. */
const addedLabels = ['node', 'job', 'instance', 'le'];

test('alerts and dashboard ask only for metrics that the agent has', () => {
  const asked = new Set(expressions.flatMap((expr) => expr.match(/spotable_\w+/g) ?? []));
  assert.ok(asked.size > 10);
  assert.deepEqual(
    [...asked].filter((name) => !known.has(name)),
    [],
  );
});

test('alerts and dashboard select and group only by labels that their metrics have', () => {
  for (const expr of expressions) {
    const labels = new Set((expr.match(/spotable_\w+/g) ?? []).flatMap((name) => known.get(name) ?? []));
    const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/));
    const selected = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/(\w+)[=!]/g)].map(([, name = '']) => name),
    );
    const unknown = [...grouped, ...selected].filter((label) => !labels.has(label) && !addedLabels.includes(label));
    assert.deepEqual(unknown, [], expr);
  }
});

test('every metric of the agent is explained in the guide for operators', () => {
  const guide = readProjectFile('docs/operate.md');
  const own = [...known.keys()]
    .filter((name) => name.startsWith('spotable_'))
    .map((name) => name.replace(/_(bucket|sum|count)$/, ''));
  assert.deepEqual(
    [...new Set(own)].filter((name) => !guide.includes(`\`${name}\``)),
    [],
  );
});

test('every alert leads to a chapter of the guide for operators', () => {
  const headings = [...readProjectFile('docs/operate.md').matchAll(/^#+ (.+)$/gm)].map(
    ([, heading = '']) =>
      `docs/operate.md#${heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replace(/\s/g, '-')}`,
  );
  for (const { alert, annotations } of alerts) assert.ok(headings.includes(annotations.runbook_url), alert);
});

test('panels of the dashboard have ids and titles of their own', () => {
  const { panels } = dashboard;
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
});
