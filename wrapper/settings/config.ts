import type { Counter, List } from '../agones/model/sdk-model.ts';
import type { SignalScope } from '../game/addressees.ts';
import {
  type Action,
  type PortRange,
  type PortRequest,
  type Property,
  type ReadyRule,
  singlePorts,
  type Template,
} from './parse-setting.ts';

/** A wrapper's settings. Times are in milliseconds; undefined means off, or not known. */
export interface WrapperConfig {
  readonly ports: readonly PortRequest[];
  readonly portRange: PortRange;
  readonly leaseDir: string | undefined;
  readonly templates: readonly Template[];
  readonly properties: readonly Property[];
  readonly ready: ReadyRule;
  readonly readyTimeoutMs: number;
  readonly livenessMs: number | undefined;
  readonly whenUnhealthy: 'tell' | 'restart' | 'end';
  readonly warn: readonly Action[];
  /** Empty: SIGTERM, or the signal that was sent to us. */
  readonly stop: readonly Action[];
  /** Which processes get the signals of `warn` and `stop`. */
  readonly signalScope: SignalScope;
  readonly stopAtMs: number | undefined;
  readonly gracePeriodMs: number;
  readonly safetyMarginMs: number;
  readonly link: string | undefined;
  /** Whether to trust the agent at an address that any process can take. */
  readonly trustsLink: boolean;
  readonly linkTokenFile: string;
  readonly metadataEndpoint: URL | undefined;
  readonly queueUrl: string | undefined;
  readonly awsRegion: string | undefined;
  readonly sqsEndpoint: URL | undefined;
  readonly awsEndpoint: URL | undefined;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly format: 'cloudevents' | 'seed';
  readonly advertise: string | undefined;
  readonly type: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly statusFile: string | undefined;
  readonly stateDir: string | undefined;
  /** undefined: off, unless the ready rule needs it. */
  readonly sdk: 'rest' | 'rest+grpc' | undefined;
  readonly sdkOpen: boolean;
  readonly sdkHealthPeriodMs: number | undefined;
  readonly sdkHealthThreshold: number;
  readonly sdkHealthDelayMs: number;
  readonly sdkCounters: readonly (readonly [name: string, counter: Counter])[];
  readonly sdkLists: readonly (readonly [name: string, list: List])[];
  readonly hideEnv: readonly string[];
  readonly podName: string | undefined;
  readonly podNamespace: string | undefined;
  readonly podUid: string | undefined;
  readonly nodeName: string | undefined;
  readonly nodeAddress: string | undefined;
}

/** Contradictions between settings, one line each; empty if there are none. */
export function contradictions(config: WrapperConfig, command: readonly string[]): readonly string[] {
  const found: string[] = [];
  if (command[0] === undefined || command[0] === '')
    found.push('Missing the game: expected spotable-wrapper [flags] -- GAME [ARG...]');
  if (config.ports.length === 0) found.push('Missing --port: expected at least one');
  const ports = config.ports.flatMap(singlePorts);
  found.push(...portContradictions(ports));
  const names = ports.map(({ name }) => name);
  for (const name of readyNames(config.ready))
    if (!names.includes(name))
      found.push(`Invalid --ready ${config.ready.kind}:${name}: expected one of the ports ${names.join(', ')}`);
  if (config.ready.kind === 'tcp' && tcpPort(ports, config.ready.name) === undefined)
    found.push('Invalid --ready tcp: expected a port with tcp among --port');
  if (config.sdk === undefined && config.ready.kind !== 'sdk')
    for (const [flag, count] of [
      ['--sdk-counter', config.sdkCounters.length],
      ['--sdk-list', config.sdkLists.length],
    ] as const)
      if (count > 0) found.push(`Invalid ${flag}: expected --sdk or --ready sdk beside it`);
  if (config.leaseMs <= config.heartbeatMs)
    found.push(`Invalid --lease ${config.leaseMs}ms: expected more than the --heartbeat of ${config.heartbeatMs}ms`);
  return found;
}

/** The port that `--ready tcp` connects to. */
export function tcpPort<P extends { readonly name: string; readonly protocol: string }>(
  ports: readonly P[],
  name: string | undefined,
): P | undefined {
  return ports.find((port) => port.protocol !== 'udp' && (name === undefined || port.name === name));
}

function readyNames(rule: ReadyRule): readonly string[] {
  if (rule.kind === 'bound') return rule.names;
  return rule.kind === 'tcp' && rule.name !== undefined ? [rule.name] : [];
}

function portContradictions(ports: readonly PortRequest[]): string[] {
  const found: string[] = [];
  for (const [index, { name, protocol, pinned }] of ports.entries()) {
    const earlier = ports.slice(0, index);
    if (earlier.some((other) => other.name === name))
      found.push(`Invalid --port ${name}=${protocol}: expected each name once`);
    const rival = earlier.find((other) => pinned !== undefined && other.pinned === pinned);
    if (rival !== undefined && (rival.protocol === protocol || `${rival.protocol}${protocol}`.includes('+')))
      found.push(`Invalid --port ${name}=${protocol}:${pinned}: ${rival.name} has that port already`);
  }
  return found;
}
