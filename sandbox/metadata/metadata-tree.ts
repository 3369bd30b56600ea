import type { Notices } from './notices.ts';

/** The instance that a metadata service describes. */
export interface InstanceDescription {
  instanceId: string;
  instanceType: string;
  /** Such as `eu-west-1a`; it contains the region. */
  zone: string;
  lifeCycle: 'spot' | 'on-demand';
  privateIp: string;
  /** Without it the instance is private, and the public paths are 404. */
  publicIp?: string;
  /** Default: derived from the public address as EC2 does. Empty: a VPC without DNS names. */
  publicHostname?: string;
  accountId: string;
  imageId: string;
  architecture: 'x86_64' | 'arm64';
  /** Launch time. */
  pendingTime: string;
}

export const exampleInstance: InstanceDescription = {
  instanceId: 'i-0123456789abcdef0',
  instanceType: 'c6i.large',
  zone: 'eu-west-1a',
  lifeCycle: 'spot',
  privateIp: '10.0.1.23',
  accountId: '123456789012',
  imageId: 'ami-0123456789abcdef0',
  architecture: 'x86_64',
  pendingTime: '2026-04-24T16:00:00Z',
};

export type MetadataItem =
  | { kind: 'text'; body: string }
  /** The names below a path that is not an item. */
  | { kind: 'listing'; body: string }
  | { kind: 'absent' };

/** `eu-west-1` of `eu-west-1a`, `us-west-2` of the local zone `us-west-2-lax-1a`; undefined: not a zone. */
export function regionOfZone(zone: string): string | undefined {
  return /^[a-z]{2}(?:-[a-z]+)+-\d+(?=[a-z-])/.exec(zone)?.[0];
}

/** Every item of the service by its path. Only announced notices have one. */
export function metadataTree(instance: InstanceDescription, notices: Partial<Notices>): ReadonlyMap<string, string> {
  const region = regionOfZone(instance.zone) ?? instance.zone;
  const { publicIp, publicHostname = publicIp && hostnameOf(publicIp, region) } = instance;
  const { spot, rebalance, maintenance = [], asg } = notices;
  const items: Record<string, string | undefined> = {
    'dynamic/instance-identity/document': identityDocument(instance, region),
    'meta-data/autoscaling/target-lifecycle-state': asg?.state,
    // The only notice whose absence is a document instead of a 404.
    'meta-data/events/maintenance/scheduled': JSON.stringify(maintenance),
    'meta-data/events/recommendations/rebalance': rebalance && JSON.stringify(rebalance),
    'meta-data/instance-id': instance.instanceId,
    'meta-data/instance-life-cycle': instance.lifeCycle,
    'meta-data/instance-type': instance.instanceType,
    'meta-data/local-hostname': localHostnameOf(instance.privateIp, region),
    'meta-data/local-ipv4': instance.privateIp,
    'meta-data/placement/availability-zone': instance.zone,
    'meta-data/placement/region': region,
    'meta-data/public-hostname': publicHostname || undefined,
    'meta-data/public-ipv4': publicIp,
    'meta-data/spot/instance-action': spot && JSON.stringify(spot),
    // The older item exists only for an instance that will be terminated.
    'meta-data/spot/termination-time': spot?.action === 'terminate' ? spot.time : undefined,
  };
  const tree = new Map<string, string>();
  for (const [path, body] of Object.entries(items)) if (body !== undefined) tree.set(`/latest/${path}`, body);
  return tree;
}

/** The content at `path` (without a query). A listing may be requested with or without its trailing slash. */
export function lookUp(tree: ReadonlyMap<string, string>, path: string): MetadataItem {
  const body = tree.get(path);
  if (body !== undefined) return { kind: 'text', body };
  const parent = path.endsWith('/') ? path : `${path}/`;
  const names = new Set<string>();
  for (const item of tree.keys()) if (item.startsWith(parent)) names.add(nameBelow(parent, item));
  return names.size === 0 ? { kind: 'absent' } : { kind: 'listing', body: [...names].join('\n') };
}

function nameBelow(parent: string, item: string): string {
  const [name = '', ...deeper] = item.slice(parent.length).split('/');
  // EC2 marks directories with a slash, except on the two top levels (`latest`; `dynamic` and `meta-data`).
  const isMarked = deeper.length > 0 && parent.split('/').length > 3;
  return isMarked ? `${name}/` : name;
}

function identityDocument(instance: InstanceDescription, region: string): string {
  const document = {
    accountId: instance.accountId,
    architecture: instance.architecture,
    availabilityZone: instance.zone,
    billingProducts: null,
    devpayProductCodes: null,
    marketplaceProductCodes: null,
    imageId: instance.imageId,
    instanceId: instance.instanceId,
    instanceType: instance.instanceType,
    kernelId: null,
    pendingTime: instance.pendingTime,
    privateIp: instance.privateIp,
    ramdiskId: null,
    region,
    version: '2017-09-30',
  };
  return JSON.stringify(document, null, 2);
}

// us-east-1 is the oldest region and kept its original names.
function hostnameOf(publicIp: string, region: string): string {
  const zoneName = region === 'us-east-1' ? 'compute-1' : `${region}.compute`;
  return `ec2-${publicIp.replaceAll('.', '-')}.${zoneName}.amazonaws.com`;
}

function localHostnameOf(privateIp: string, region: string): string {
  const zoneName = region === 'us-east-1' ? 'ec2.internal' : `${region}.compute.internal`;
  return `ip-${privateIp.replaceAll('.', '-')}.${zoneName}`;
}
