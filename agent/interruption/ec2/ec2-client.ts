import { DescribeInstanceStatusCommand, DescribeSpotInstanceRequestsCommand, EC2Client } from '@aws-sdk/client-ec2';
import type { ScheduledEventView, SpotRequestView } from './ec2-notices.ts';

export interface Ec2Answers {
  readonly requests: readonly SpotRequestView[];
  readonly events: readonly ScheduledEventView[];
}

const callMs = 5000;

/** Asks EC2 about one instance. Loaded only when it is needed: the SDK's EC2 client costs the agent about 50 MiB. */
export async function askEc2(region: string, instanceId: string, signal: AbortSignal): Promise<Ec2Answers> {
  const client = new EC2Client({
    region,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: callMs, requestTimeout: callMs, throwOnRequestTimeout: true },
  });
  try {
    const filter = { Filters: [{ Name: 'instance-id', Values: [instanceId] }] };
    const options = { abortSignal: signal };
    const [spot, status] = await Promise.all([
      client.send(new DescribeSpotInstanceRequestsCommand(filter), options),
      client.send(new DescribeInstanceStatusCommand({ InstanceIds: [instanceId], IncludeAllInstances: true }), options),
    ]);
    const events = (status.InstanceStatuses ?? []).flatMap(({ Events = [] }) => Events);
    return { requests: spot.SpotInstanceRequests ?? [], events };
  } finally {
    client.destroy();
  }
}
