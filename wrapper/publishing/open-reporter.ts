import type { Inventory } from '../../shared/events/inventory.ts';
import type { AgentSide } from '../link/agent-side.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import type { WrapperConfig } from '../settings/config.ts';
import type { WrapperContext } from '../wrapper-context.ts';
import { Reporter } from './reporter.ts';
import { RoutedInventory } from './routed-inventory.ts';

export interface ReporterParts {
  readonly config: WrapperConfig;
  readonly ports: readonly LeasedPort[];
  readonly agent: AgentSide;
  readonly context: WrapperContext;
}

/** Builds the path of this wrapper's events to the queue. */
export function openReporter({ config, ports, agent, context }: ReporterParts): Reporter {
  const { clock, log, gameServerId } = context;
  return new Reporter({
    identity: { gameServerId, type: config.type, ports, pod: config.podName, namespace: config.podNamespace },
    leaseMs: config.leaseMs,
    inventory: new RoutedInventory({
      // The agent publishes CloudEvents only, so we send the seed's format ourselves.
      throughAgent: () => (config.format === 'cloudevents' ? agent.inventory : undefined),
      mayAgentReturn: () => config.format === 'cloudevents' && agent.hasPublished,
      agentDecided: () => (config.format === 'cloudevents' ? agent.decided() : Promise.resolve()),
      alone: alone(config),
    }),
    clock,
    log,
  });
}

/** Load the AWS SDK with the first event that needs it. */
function alone({
  queueUrl,
  awsRegion,
  sqsEndpoint,
  awsEndpoint,
  format,
}: WrapperConfig): (() => Promise<Inventory>) | undefined {
  if (queueUrl === undefined) return undefined;
  const endpoint = (sqsEndpoint ?? awsEndpoint)?.href;
  let opened: Promise<Inventory> | undefined;
  return () => {
    opened ??= import('./publish-alone.ts').then(({ publishAlone }) =>
      publishAlone({ queueUrl, region: awsRegion, endpoint, format }),
    );
    return opened;
  };
}
