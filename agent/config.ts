import type { Level } from '../shared/log.ts';
import { ec2MetadataEndpoint } from '../shared/metadata/metadata-client.ts';
import type { SettingsFor } from '../shared/settings/read-settings.ts';
import { duration, httpUrl, matching, oneOf, optional, required, setting, text } from '../shared/settings/setting.ts';
import type { Policy } from './interruption/policy.ts';

const linkAddress = matching(/^(@[\w.-]{1,100}|\/.{1,106})$/, '@NAME for an abstract socket, or an absolute path');

export interface AgentConfig {
  readonly nodeName: string;
  readonly podUid: string | undefined;
  readonly metadataEndpoint: URL;
  readonly pollIntervalMs: number;
  readonly onSpotTermination: 'drain' | 'cordon' | 'ignore';
  readonly safetyMarginMs: number;
  readonly queueUrl: URL | undefined;
  readonly region: string | undefined;
  readonly link: string;
  readonly logLevel: Level;
}

/** Every setting of the agent. The deployment sets them as environment variables; flags are for trying things by hand. */
export const agentSettings: SettingsFor<AgentConfig> = {
  nodeName: required(
    { flag: 'node-name', env: 'NODE_NAME', placeholder: 'NAME', help: 'the Kubernetes node this agent runs on' },
    matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Kubernetes node'),
  ),
  podUid: optional(
    { flag: 'pod-uid', env: 'POD_UID', placeholder: 'UID', help: "the agent's own pod, which it never moves" },
    text,
  ),
  metadataEndpoint: setting(
    { flag: 'metadata-endpoint', env: 'METADATA_ENDPOINT', placeholder: 'URL', help: 'the instance metadata service' },
    httpUrl,
    new URL(ec2MetadataEndpoint),
    ec2MetadataEndpoint,
  ),
  pollIntervalMs: setting(
    {
      flag: 'poll-interval',
      env: 'POLL_INTERVAL',
      placeholder: 'DURATION',
      help: 'how often to look for notices, jittered',
    },
    duration({ minMs: 100, maxMs: 30_000 }),
    1000,
    '1s',
  ),
  onSpotTermination: setting(
    {
      flag: 'on-spot-termination',
      env: 'ON_SPOT_TERMINATION',
      placeholder: 'RESPONSE',
      help: 'drain, cordon (take no new pods, tell the games) or ignore',
    },
    oneOf(['drain', 'cordon', 'ignore']),
    'drain',
  ),
  safetyMarginMs: setting(
    {
      flag: 'safety-margin',
      env: 'SAFETY_MARGIN',
      placeholder: 'DURATION',
      help: 'how long before the deadline every pod has ended',
    },
    duration({ maxMs: 60_000 }),
    5000,
    '5s',
  ),
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
      help: "the queue's region; default: as its URL or EC2 says",
    },
    text,
  ),
  link: setting(
    {
      flag: 'link',
      env: 'LINK',
      placeholder: 'ADDRESS',
      help: 'where wrappers connect: @NAME or the path of a socket',
    },
    linkAddress,
    '@spotable',
  ),
  logLevel: setting(
    { flag: 'log-level', env: 'LOG_LEVEL', placeholder: 'LEVEL', help: 'debug, info, warn or error' },
    oneOf(['debug', 'info', 'warn', 'error']),
    'info',
  ),
};

/** What the agent does about each kind of notice. */
export function policyOf({ onSpotTermination }: AgentConfig): Policy {
  return {
    'spot-termination': onSpotTermination,
    rebalance: 'ignore',
    maintenance: 'ignore',
    'asg-termination': 'ignore',
    rehearsal: 'ignore',
  };
}
