import type { MetadataClient } from './metadata-client.ts';

/** What the inventory says of the EC2 instance. Undefined: the metadata service does not say. */
export interface Instance {
  readonly instanceId: string | undefined;
  readonly instanceType: string | undefined;
  readonly region: string | undefined;
  readonly zone: string | undefined;
  /** `spot` or `on-demand`, as EC2 says it. */
  readonly lifecycle: string | undefined;
  readonly publicHostname: string | undefined;
  readonly publicIpv4: string | undefined;
  readonly localIpv4: string | undefined;
  /** Public by its nature, where the subnet has IPv6. */
  readonly ipv6: string | undefined;
}

export const unknownInstance: Instance = {
  instanceId: undefined,
  instanceType: undefined,
  region: undefined,
  zone: undefined,
  lifecycle: undefined,
  publicHostname: undefined,
  publicIpv4: undefined,
  localIpv4: undefined,
  ipv6: undefined,
};

const paths: { readonly [K in keyof Instance]: string } = {
  instanceId: 'instance-id',
  instanceType: 'instance-type',
  region: 'placement/region',
  zone: 'placement/availability-zone',
  lifecycle: 'instance-life-cycle',
  publicHostname: 'public-hostname',
  publicIpv4: 'public-ipv4',
  localIpv4: 'local-ipv4',
  ipv6: 'ipv6',
};

/** Reads the instance's facts, all at once. Throws a MetadataError where the service does not answer. */
export async function readInstance(metadata: MetadataClient, signal?: AbortSignal): Promise<Instance> {
  const entries = await Promise.all(
    Object.entries(paths).map(async ([name, path]) => {
      const answer = await metadata.get(`/latest/meta-data/${path}`, signal);
      // Instances without a public address answer 404, some mocks an empty body.
      const text = answer.kind === 'found' ? answer.body.trim() : '';
      return [name, text === '' ? undefined : text] as const;
    }),
  );
  return { ...unknownInstance, ...Object.fromEntries(entries) };
}
