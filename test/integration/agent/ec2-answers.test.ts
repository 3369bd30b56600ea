import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { askEc2 } from '../../../agent/interruption/ec2/ec2-client.ts';

const namespace = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"';
const answers: Readonly<Record<string, string>> = {
  DescribeSpotInstanceRequests: `<spotInstanceRequestSet><item><status><code>marked-for-stop</code></status></item></spotInstanceRequestSet>`,
  DescribeInstanceStatus: `<instanceStatusSet><item><eventsSet><item><instanceEventId>e-1</instanceEventId><code>instance-stop</code></item></eventsSet></item></instanceStatusSet>`,
};
const denied =
  '<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>';

/** EC2 as far as it is asked here; it grants only what is named. */
async function startEc2(granted: readonly string[]) {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const action = new URLSearchParams(Buffer.concat(chunks).toString()).get('Action') ?? '';
    if (!granted.includes(action)) return void response.writeHead(403).end(denied);
    response.end(`<${action}Response ${namespace}><requestId>r</requestId>${answers[action]}</${action}Response>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' });
  process.env['AWS_ENDPOINT_URL_EC2'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('asking EC2', () => {
  const ask = () => askEc2('eu-west-1', 'i-1', AbortSignal.timeout(20_000));

  test('brings what one call was granted, and says why the other one brought nothing', async () => {
    await using _ = await startEc2(['DescribeSpotInstanceRequests']);
    const { requests, events, problems } = await ask();
    assert.deepEqual([requests.map(({ Status }) => Status?.Code), events], [['marked-for-stop'], []]);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', /UnauthorizedOperation/);
  });

  test('brings both where both are granted', async () => {
    await using _ = await startEc2(Object.keys(answers));
    const { requests, events, problems } = await ask();
    assert.deepEqual(
      [requests.length, events.map(({ InstanceEventId }) => InstanceEventId), problems],
      [1, ['e-1'], []],
    );
  });

  test('fails where neither is granted', async () => {
    await using _ = await startEc2([]);
    await assert.rejects(ask(), { name: 'UnauthorizedOperation' });
  });
});
