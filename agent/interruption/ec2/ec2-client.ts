import { DescribeInstanceStatusCommand, DescribeSpotInstanceRequestsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { errorText } from '../../../shared/log.ts';
import type { ScheduledEventView, SpotRequestView } from './ec2-notices.ts';

export interface Ec2Answers {
  readonly requests: readonly SpotRequestView[];
  readonly events: readonly ScheduledEventView[];
  /** Why one of the two calls failed. */
  readonly problems: readonly string[];
}

const callMs = 5000;

/**
 * Asks EC2 about one instance. Rejects if both calls fail. Loaded only when needed: the SDK's EC2 client costs the
 * agent about 50 MiB.
 */
export async function askEc2(region: string, instanceId: string, signal: AbortSignal): Promise<Ec2Answers> {
  const client = new EC2Client({
    region,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: callMs, requestTimeout: callMs, throwOnRequestTimeout: true },
  });
  try {
    const filter = { Filters: [{ Name: 'instance-id', Values: [instanceId] }] };
    const options = { abortSignal: signal };
    const [spot, status] = await Promise.allSettled([
      client.send(new DescribeSpotInstanceRequestsCommand(filter), options),
      client.send(new DescribeInstanceStatusCommand({ InstanceIds: [instanceId], IncludeAllInstances: true }), options),
    ]);
    if (spot.status === 'rejected' && status.status === 'rejected') throw spot.reason;
    const failed = [spot, status].filter((call) => call.status === 'rejected');
    const statuses = status.status === 'fulfilled' ? (status.value.InstanceStatuses ?? []) : [];
    return {
      requests: spot.status === 'fulfilled' ? (spot.value.SpotInstanceRequests ?? []) : [],
      events: statuses.flatMap(({ Events = [] }) => Events),
      problems: failed.map(({ reason }) => errorText(reason)),
    };
  } finally {
    client.destroy();
  }
}
