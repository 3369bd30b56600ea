import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingInstancesCommand,
  RecordLifecycleActionHeartbeatCommand,
} from '@aws-sdk/client-auto-scaling';
import type { Ec2Place } from '../interruption/ec2/ec2-place.ts';

/**
 * The pending lifecycle action of one instance and one hook. Each call rejects if it is not permitted or no action is
 * pending.
 */
export interface LifecycleAction {
  /** Restarts the hook's timeout. */
  heartbeat(signal: AbortSignal): Promise<void>;
  /** Lets the group continue with the termination. */
  complete(signal: AbortSignal): Promise<void>;
  close(): void;
}

const callMs = 5000;

/**
 * Finds the group of an instance. Loaded only when the group terminates the instance, because the SDK's client costs
 * the agent 20 MiB.
 */
export async function openLifecycleAction(
  { region, instanceId }: Ec2Place,
  hookName: string,
  signal: AbortSignal,
): Promise<LifecycleAction> {
  const client = new AutoScalingClient({
    region,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: callMs, requestTimeout: callMs, throwOnRequestTimeout: true },
  });
  try {
    const command = new DescribeAutoScalingInstancesCommand({ InstanceIds: [instanceId] });
    const { AutoScalingInstances: [instance] = [] } = await client.send(command, { abortSignal: signal });
    if (instance?.AutoScalingGroupName === undefined) throw new Error(`${instanceId} is in no Auto Scaling group`);
    const action = {
      AutoScalingGroupName: instance.AutoScalingGroupName,
      LifecycleHookName: hookName,
      InstanceId: instanceId,
    };
    return {
      heartbeat: async (until) => {
        await client.send(new RecordLifecycleActionHeartbeatCommand(action), { abortSignal: until });
      },
      complete: async (until) => {
        const input = { ...action, LifecycleActionResult: 'CONTINUE' };
        await client.send(new CompleteLifecycleActionCommand(input), { abortSignal: until });
      },
      close: () => client.destroy(),
    };
  } catch (error) {
    client.destroy();
    throw error;
  }
}
