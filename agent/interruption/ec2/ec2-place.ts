import type { Instance } from '../../../shared/metadata/instance.ts';

/** Identifies the instance in calls to EC2. */
export interface Ec2Place {
  readonly region: string;
  readonly instanceId: string;
}

/**
 * Reads a node's providerID, such as `aws:///eu-west-1a/i-0123456789abcdef0`. Zones such as `us-west-2-lax-1a` are
 * accepted too.
 */
export function placeOfProviderId(providerId: string | undefined): Ec2Place | undefined {
  const [, region, instanceId] =
    /^aws:\/\/\/([a-z]{2}(?:-[a-z]+)+-\d)[a-z0-9-]*\/(i-[0-9a-f]+)$/.exec(providerId ?? '') ?? [];
  return region === undefined || instanceId === undefined ? undefined : { region, instanceId };
}

export function placeOf({ region, instanceId }: Instance): Ec2Place | undefined {
  return region === undefined || instanceId === undefined ? undefined : { region, instanceId };
}
