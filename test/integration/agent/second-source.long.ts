import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { ClusterScene } from './scene/cluster-scene.ts';

function ec2Answer(action: string): string {
  const head = `<?xml version="1.0"?><${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>`;
  const status = `<status><code>marked-for-termination</code><updateTime>${new Date().toISOString()}</updateTime></status>`;
  const body =
    action === 'DescribeSpotInstanceRequests'
      ? `<spotInstanceRequestSet><item><instanceId>i-0123456789abcdef0</instanceId>${status}</item></spotInstanceRequestSet>`
      : '<instanceStatusSet/>';
  return `${head}${body}</${action}Response>`;
}

describe('EC2 as the second source', () => {
  test('is asked when the metadata service has been silent for long, and drains under the same identity', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    scene.changeNode((node) => ({
      ...node,
      spec: { ...node.spec, providerID: 'aws:///eu-west-1a/i-0123456789abcdef0' },
    }));
    const calls: string[] = [];
    const ec2 = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const action = new URLSearchParams(Buffer.concat(chunks).toString()).get('Action') ?? '';
      calls.push(action);
      response.writeHead(200, { 'content-type': 'text/xml' }).end(ec2Answer(action));
    });
    ec2.listen(0, '127.0.0.1');
    await once(ec2, 'listening');
    try {
      scene.metadata.faults.add({ fault: { kind: 'status', status: 503 } });
      const url = `http://127.0.0.1:${(ec2.address() as AddressInfo).port}`;
      const agent = await scene.startAgent({ AWS_ENDPOINT_URL_EC2: url });
      const noticed = await agent.says('Interruption noticed', undefined, 60_000);
      assert.deepEqual([noticed['id'], noticed['kind']], ['i-0123456789abcdef0/spot-termination', 'spot-termination']);
      assert.ok(Number(noticed['leftMs']) > 60_000);
      await agent.says('Node drained');
      assert.deepEqual(calls.toSorted(), ['DescribeInstanceStatus', 'DescribeSpotInstanceRequests']);
      assert.equal(agent.said('Metadata service silent: asking EC2').length, 1);
    } finally {
      ec2.closeAllConnections();
      ec2.close();
    }
  });
});
