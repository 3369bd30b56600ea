import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { Level } from '../shared/log.ts';
import { ec2MetadataEndpoint } from '../shared/metadata/metadata-client.ts';
import type { SettingsFor } from '../shared/settings/read-settings.ts';
import {
  duration,
  httpUrl,
  matching,
  oneOf,
  optional,
  type Parse,
  plainHttpUrl,
  repeated,
  required,
  type Setting,
  setting,
  text,
  toggle,
} from '../shared/settings/setting.ts';
import { isLabelSelector, isNamespaceList } from './drain/select-pods.ts';
import type { Policy, ResponseKind } from './interruption/policy.ts';
import type { WebhookFormat } from './reporting/webhook.ts';

const linkAddress = matching(/^(@[\w.-]{1,100}|\/.{1,106})$/, '@NAME for an abstract socket, or an absolute path');

export interface AgentConfig {
  readonly nodeName: string;
  readonly podUid: string | undefined;
  readonly metadataEndpoint: URL;
  readonly pollIntervalMs: number;
  readonly onSpotTermination: ResponseKind;
  readonly onRebalance: ResponseKind;
  readonly onMaintenance: ResponseKind;
  readonly onAsgTermination: ResponseKind;
  readonly rebalanceTtlMs: number;
  readonly maintenanceLeadMs: number;
  readonly assumedNoticeMs: number;
  readonly safetyMarginMs: number;
  readonly shutdownTimeMs: number;
  readonly dryRun: boolean;
  readonly excludeFromLoadBalancers: boolean;
  readonly outOfServiceTaint: boolean;
  readonly drainNamespaces: string | undefined;
  readonly drainSelector: string | undefined;
  /** undefined: each pod's own grace period. */
  readonly graceOverrideMs: number | undefined;
  readonly waitForVolumes: boolean;
  readonly reassertMark: boolean;
  readonly queueUrl: URL | undefined;
  readonly region: string | undefined;
  readonly link: readonly string[];
  readonly linkTrust: 'token' | 'pod';
  /** undefined: lifecycle hooks of the Auto Scaling group are left to their timeout. */
  readonly lifecycleHook: string | undefined;
  /** Each receives every report. */
  readonly webhookUrls: readonly URL[];
  readonly webhookHeaders: Readonly<Record<string, string>>;
  readonly webhookProxy: URL | undefined;
  readonly webhookFormat: WebhookFormat;
  /** undefined: neither metrics nor health checks. */
  readonly metricsPort: number | undefined;
  readonly logLevel: Level;
}

const defaultMetricsPort = 9101;

/** Every setting of the agent. The deployment sets them as environment variables; flags are for manual runs. */
export const agentSettings: SettingsFor<AgentConfig> = {
  nodeName: required(
    { flag: 'node-name', env: 'NODE_NAME', placeholder: 'NAME', help: 'the Kubernetes node this agent runs on' },
    matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Kubernetes node'),
  ),
  podUid: optional(
    { flag: 'pod-uid', env: 'POD_UID', placeholder: 'UID', help: "the agent's own pod, which it never drains" },
    text,
  ),
  metadataEndpoint: setting(
    { flag: 'metadata-endpoint', env: 'METADATA_ENDPOINT', placeholder: 'URL', help: 'the instance metadata service' },
    plainHttpUrl,
    new URL(ec2MetadataEndpoint),
    ec2MetadataEndpoint,
  ),
  pollIntervalMs: timeSetting(
    'poll-interval',
    'interval between polls for notices, jittered',
    { minMs: 100, maxMs: 30_000 },
    '1s',
    1000,
  ),
  onSpotTermination: responseSetting('spot-termination', ['drain', 'cordon', 'ignore'], 'drain'),
  onRebalance: responseSetting('rebalance', ['drain', 'hold', 'cordon', 'ignore'], 'hold'),
  onMaintenance: responseSetting('maintenance', ['drain', 'hold', 'cordon', 'ignore'], 'drain'),
  onAsgTermination: responseSetting('asg-termination', ['drain', 'cordon', 'ignore'], 'drain'),
  rebalanceTtlMs: timeSetting(
    'rebalance-ttl',
    'validity of a rebalance recommendation; then its effects are undone',
    { minMs: 1000, maxMs: 604_800_000 },
    '30m',
    1_800_000,
  ),
  maintenanceLeadMs: timeSetting(
    'maintenance-lead',
    'start the drain this long before a maintenance; until then hold the node',
    { minMs: 10_000, maxMs: 86_400_000 },
    '30m',
    1_800_000,
  ),
  assumedNoticeMs: timeSetting(
    'assumed-notice',
    'time for a drain if the notice names no deadline (rebalance, asg-termination)',
    { minMs: 10_000, maxMs: 3_600_000 },
    '2m',
    120_000,
  ),
  safetyMarginMs: timeSetting(
    'safety-margin',
    'end every pod this long before the deadline',
    { maxMs: 60_000 },
    '5s',
    5000,
  ),
  shutdownTimeMs: timeSetting(
    'shutdown-time',
    'continue a drain for this long after SIGTERM, then leave it to the next agent',
    { maxMs: 120_000 },
    '20s',
    20_000,
  ),
  dryRun: toggle({ flag: 'dry-run', env: 'DRY_RUN', help: 'log what would be done, and change nothing' }),
  excludeFromLoadBalancers: toggle({
    flag: 'exclude-from-load-balancers',
    env: 'EXCLUDE_FROM_LOAD_BALANCERS',
    help: 'label the node so that load balancers remove it',
  }),
  outOfServiceTaint: toggle({
    flag: 'out-of-service-taint',
    env: 'OUT_OF_SERVICE_TAINT',
    help: 'taint a drained node as out of service, so that its volumes are detached at once',
  }),
  drainNamespaces: optional(
    {
      flag: 'drain-namespaces',
      env: 'DRAIN_NAMESPACES',
      placeholder: 'NAMES',
      help: 'namespaces to drain, such as arena,lobby, or to exclude, such as !kube-system; default: drain all',
    },
    satisfying(isNamespaceList, 'names separated by commas, with ! before all of them or none'),
  ),
  drainSelector: optional(
    {
      flag: 'drain-selector',
      env: 'DRAIN_SELECTOR',
      placeholder: 'SELECTOR',
      help: "label selector of the pods to drain, in kubectl's syntax; default: all",
    },
    satisfying(isLabelSelector, 'a label selector such as app=arena,tier!=db'),
  ),
  graceOverrideMs: optional(
    {
      flag: 'grace-override',
      env: 'GRACE_OVERRIDE',
      placeholder: 'DURATION',
      help: "grace period of every drained pod; default: the pod's own",
    },
    duration({ minMs: 1000, maxMs: 3_600_000 }),
  ),
  waitForVolumes: toggle({
    flag: 'wait-for-volumes',
    env: 'WAIT_FOR_VOLUMES',
    help: 'count a node as drained only after its volumes are detached',
  }),
  reassertMark: toggle({
    flag: 'reassert-mark',
    env: 'REASSERT_MARK',
    help: 'restore cordon and taint if someone removes them during an interruption',
  }),
  queueUrl: optional(
    {
      flag: 'queue-url',
      env: 'QUEUE_URL',
      placeholder: 'URL',
      help: 'the SQS queue of the inventory; none: publish nothing',
    },
    httpUrl,
  ),
  region: optional(
    {
      flag: 'region',
      env: 'AWS_REGION',
      placeholder: 'REGION',
      help: "the queue's region; default: from its URL or EC2",
    },
    text,
  ),
  link: repeated(
    {
      flag: 'link',
      env: 'LINK',
      placeholder: 'ADDRESS',
      help: 'address for wrappers: the path of a socket, or @NAME for an abstract one (repeatable)',
    },
    linkAddress,
    ['@spotable'],
    '@spotable',
  ),
  linkTrust: setting(
    {
      flag: 'link-trust',
      env: 'LINK_TRUST',
      placeholder: 'PROOF',
      help: 'required proof before a wrapper may publish: token (of its pod) or pod (it names a pod of this node)',
    },
    oneOf(['token', 'pod']),
    'token',
  ),
  lifecycleHook: optional(
    {
      flag: 'lifecycle-hook',
      env: 'LIFECYCLE_HOOK',
      placeholder: 'NAME',
      help: "the group's termination hook to complete after the drain; none: it times out",
    },
    matching(/^[\w/-]{1,255}$/, 'the name of a lifecycle hook'),
  ),
  webhookUrls: repeated(
    {
      flag: 'webhook-url',
      env: 'WEBHOOK_URL',
      placeholder: 'URL',
      help: 'receives a report of each interruption, at the notice and at the end (repeatable)',
    },
    httpUrl,
    [],
  ),
  webhookHeaders: setting(
    {
      flag: 'webhook-headers',
      env: 'WEBHOOK_HEADERS',
      placeholder: 'JSON',
      help: 'HTTP headers of webhook calls: {"authorization":"Bearer ..."}',
    },
    headerFields,
    {},
  ),
  webhookProxy: optional(
    { flag: 'webhook-proxy', env: 'WEBHOOK_PROXY', placeholder: 'URL', help: 'the HTTP proxy to the webhook' },
    httpUrl,
  ),
  webhookFormat: setting(
    { flag: 'webhook-format', env: 'WEBHOOK_FORMAT', placeholder: 'FORMAT', help: 'json (the report) or slack' },
    oneOf(['json', 'slack']),
    'json',
  ),
  metricsPort: setting(
    {
      flag: 'metrics-port',
      env: 'METRICS_PORT',
      placeholder: 'PORT',
      help: 'port for /metrics, /livez and /readyz; 0: any free port, none: disabled',
    },
    portOrNone,
    defaultMetricsPort,
  ),
  logLevel: setting(
    { flag: 'log-level', env: 'LOG_LEVEL', placeholder: 'LEVEL', help: 'debug, info, warn or error' },
    oneOf(['debug', 'info', 'warn', 'error']),
    'info',
  ),
};

function headerFields(value: string): ReturnType<Parse<Readonly<Record<string, string>>>> {
  const expected = 'a JSON object of header names and texts';
  try {
    const fields: unknown = JSON.parse(value);
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return { expected };
    for (const [name, text] of Object.entries(fields)) {
      validateHeaderName(name);
      if (typeof text !== 'string') return { expected };
      validateHeaderValue(name, text);
    }
    return { value: fields as Record<string, string> };
  } catch {
    return { expected };
  }
}

function portOrNone(value: string): ReturnType<Parse<number | undefined>> {
  if (value === 'none') return { value: undefined };
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  return port <= 65_535 ? { value: port } : { expected: 'a port from 0 to 65535, or none' };
}

function satisfying(isValid: (value: string) => boolean, expected: string): Parse<string> {
  return (value) => (isValid(value) ? { value } : { expected });
}

function environmentName(flag: string): string {
  return flag.toUpperCase().replaceAll('-', '_');
}

function timeSetting(
  flag: string,
  help: string,
  range: { minMs?: number; maxMs: number },
  fallbackText: string,
  fallbackMs: number,
): Setting<number> {
  return setting(
    { flag, env: environmentName(flag), placeholder: 'DURATION', help },
    duration(range),
    fallbackMs,
    fallbackText,
  );
}

function responseSetting(
  kind: string,
  choices: readonly ResponseKind[],
  fallback: ResponseKind,
): Setting<ResponseKind> {
  const flag = `on-${kind}`;
  const names = { flag, env: environmentName(flag), placeholder: 'RESPONSE', help: choices.join(', ') };
  return setting(names, oneOf(choices), fallback);
}

/** The agent's response to each kind of notice. A rehearsal always drains, because its purpose is to test a drain. */
export function policyOf(config: AgentConfig): Policy {
  return {
    responses: {
      'spot-termination': config.onSpotTermination,
      rebalance: config.onRebalance,
      maintenance: config.onMaintenance,
      'asg-termination': config.onAsgTermination,
      rehearsal: 'drain',
    },
    maintenanceLeadMs: config.maintenanceLeadMs,
    assumedNoticeMs: config.assumedNoticeMs,
  };
}
