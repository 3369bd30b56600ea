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

/** Puts together how this wrapper's events reach the queue. */
export function openReporter({ config, ports, agent, context }: ReporterParts): Reporter {
  const { clock, log, gameServerId } = context;
  return new Reporter({
    identity: { gameServerId, type: config.type, ports, pod: config.podName, namespace: config.podNamespace },
    leaseMs: config.leaseMs,
    inventory: new RoutedInventory({
      // The agent speaks CloudEvents: the seed's format we send by ourselves.
      throughAgent: () => (config.format === 'cloudevents' ? agent.inventory : undefined),
      mayAgentReturn: () => config.format === 'cloudevents' && agent.hasPublished,
      agentDecided: () => (config.format === 'cloudevents' ? agent.decided() : Promise.resolve()),
      alone: alone(config),
    }),
    clock,
    log,
  });
}

/** The AWS SDK comes with the first event that has to go this way. */
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
