import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  exampleInstance,
  type InstanceDescription,
  lookUp,
  metadataTree,
  regionOfZone,
} from '../../../sandbox/metadata/metadata-tree.ts';
import type { Notices } from '../../../sandbox/metadata/notices.ts';

function read(
  path: string,
  instance: Partial<InstanceDescription> = {},
  notices: Partial<Notices> = {},
): string | null {
  const item = lookUp(metadataTree({ ...exampleInstance, ...instance }, notices), path);
  return item.kind === 'absent' ? null : item.body;
}

const spot = { action: 'terminate', time: '2026-04-24T17:11:44Z' } as const;
const rebalance = { noticeTime: '2026-07-16T19:18:24Z' };
const reboot = {
  NotBefore: '21 Jan 2026 09:00:43 GMT',
  Code: 'system-reboot',
  Description: 'scheduled reboot',
  EventId: 'instance-event-0d59937288b749b32',
  State: 'active',
} as const;

describe('the items of an instance', () => {
  const items: [path: string, body: string | null, instance?: Partial<InstanceDescription>][] = [
    ['instance-id', 'i-0123456789abcdef0'],
    ['instance-type', 'g5.xlarge', { instanceType: 'g5.xlarge' }],
    ['instance-life-cycle', 'spot'],
    ['instance-life-cycle', 'on-demand', { lifeCycle: 'on-demand' }],
    ['local-ipv4', '10.0.1.23'],
    ['local-hostname', 'ip-10-0-1-23.eu-west-1.compute.internal'],
    ['local-hostname', 'ip-10-0-1-23.ec2.internal', { zone: 'us-east-1c' }],
    ['placement/availability-zone', 'eu-west-1a'],
    ['placement/region', 'eu-west-1'],
    ['public-ipv4', null],
    ['public-hostname', null],
    ['public-ipv4', '203.0.113.25', { publicIp: '203.0.113.25' }],
    ['public-hostname', 'ec2-203-0-113-25.eu-west-1.compute.amazonaws.com', { publicIp: '203.0.113.25' }],
    ['public-hostname', 'ec2-203-0-113-25.compute-1.amazonaws.com', { publicIp: '203.0.113.25', zone: 'us-east-1c' }],
    ['public-hostname', 'play.example.com', { publicIp: '203.0.113.25', publicHostname: 'play.example.com' }],
    ['public-hostname', null, { publicIp: '203.0.113.25', publicHostname: '' }],
    ['ami-id', null],
  ];
  for (const [path, body, instance] of items) {
    it(`${path} is ${body ?? 'absent'} with ${JSON.stringify(instance ?? {})}`, () => {
      assert.equal(read(`/latest/meta-data/${path}`, instance), body);
    });
  }

  it('are in the identity document under the names that the field reads', () => {
    const document: unknown = JSON.parse(read('/latest/dynamic/instance-identity/document') ?? '');
    const { accountId, instanceId, instanceType, privateIp, availabilityZone, region, imageId, architecture } =
      document as Record<string, unknown>;
    assert.deepEqual(
      { accountId, instanceId, instanceType, privateIp, availabilityZone, region, imageId, architecture },
      {
        accountId: '123456789012',
        instanceId: 'i-0123456789abcdef0',
        instanceType: 'c6i.large',
        privateIp: '10.0.1.23',
        availabilityZone: 'eu-west-1a',
        region: 'eu-west-1',
        imageId: 'ami-0123456789abcdef0',
        architecture: 'x86_64',
      },
    );
  });
});

describe('notices', () => {
  const bodies: [path: string, before: string | null, notices: Partial<Notices>, after: string | null][] = [
    ['spot/instance-action', null, { spot }, '{"action":"terminate","time":"2026-04-24T17:11:44Z"}'],
    [
      'spot/instance-action',
      null,
      { spot: { ...spot, action: 'hibernate' } },
      '{"action":"hibernate","time":"2026-04-24T17:11:44Z"}',
    ],
    ['spot/termination-time', null, { spot }, '2026-04-24T17:11:44Z'],
    ['spot/termination-time', null, { spot: { ...spot, action: 'stop' } }, null],
    ['events/recommendations/rebalance', null, { rebalance }, '{"noticeTime":"2026-07-16T19:18:24Z"}'],
    ['events/maintenance/scheduled', '[]', { maintenance: [reboot] }, JSON.stringify([reboot])],
    ['autoscaling/target-lifecycle-state', null, { asg: { state: 'Terminated' } }, 'Terminated'],
  ];
  for (const [path, before, notices, after] of bodies) {
    it(`${path} is ${before} before and ${after} with ${Object.keys(notices)}`, () => {
      assert.equal(read(`/latest/meta-data/${path}`), before);
      assert.equal(read(`/latest/meta-data/${path}`, {}, notices), after);
    });
  }
});

describe('listings', () => {
  const listings: [path: string, lines: string[] | null, notices?: Partial<Notices>][] = [
    ['/', ['latest']],
    ['/latest', ['dynamic', 'meta-data']],
    ['/latest/', ['dynamic', 'meta-data']],
    ['/latest/dynamic', ['instance-identity/']],
    [
      '/latest/meta-data',
      ['events/', 'instance-id', 'instance-life-cycle', 'instance-type', 'local-hostname', 'local-ipv4', 'placement/'],
    ],
    ['/latest/meta-data/placement', ['availability-zone', 'region']],
    ['/latest/meta-data/placement/', ['availability-zone', 'region']],
    ['/latest/meta-data/spot', null],
    ['/latest/meta-data/spot/', ['instance-action', 'termination-time'], { spot }],
    ['/latest/meta-data/events/', ['maintenance/']],
    ['/latest/meta-data/events/', ['maintenance/', 'recommendations/'], { rebalance }],
    ['/latest/meta-data/autoscaling', null],
    ['/latest/meta-data/instance-id/', null],
    ['/latest/meta-data/place', null],
    ['/2000-01-01/meta-data', null],
  ];
  for (const [path, lines, notices] of listings) {
    it(`${path} is ${lines ?? 'absent'} with ${Object.keys(notices ?? {}).join() || 'nothing'} announced`, () => {
      assert.equal(read(path, {}, notices), lines === null ? null : lines.join('\n'));
    });
  }
});

describe('regionOfZone', () => {
  const zones: [zone: string, region: string | undefined][] = [
    ['eu-west-1a', 'eu-west-1'],
    ['ap-southeast-2c', 'ap-southeast-2'],
    ['us-gov-west-1b', 'us-gov-west-1'],
    ['us-west-2-lax-1a', 'us-west-2'],
    ['eu-west-1', undefined],
    ['moon', undefined],
    ['', undefined],
  ];
  for (const [zone, region] of zones) {
    it(`reads ${region} from ${JSON.stringify(zone)}`, () => assert.equal(regionOfZone(zone), region));
  }
});
