import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { openLifecycleAction } from '../../../agent/auto-scaling/auto-scaling-client.ts';
import { askEc2 } from '../../../agent/interruption/ec2/ec2-client.ts';
import { SqsQueue } from '../../../inventory/queue/sqs-queue.ts';
import { startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import { SqsInventory } from '../../../shared/events/sqs-inventory.ts';
import { filesBelow, readProjectFile } from '../../unit/manifests/manifest-files.ts';
import { startAutoScaling } from '../agent/scene/auto-scaling.ts';
import { sampleEvent } from '../inventory/sample-events.ts';

interface Policy {
  readonly Version: string;
  readonly Statement: readonly {
    readonly Effect: string;
    readonly Action: readonly string[];
    readonly Resource: string;
  }[];
}

function allowedBy(file: string): readonly string[] {
  const policy = JSON.parse(readProjectFile(`manifests/iam/${file}`)) as Policy;
  return policy.Statement.flatMap(({ Action }) => Action).sort();
}

/** One right covers a call and its batch. */
const rightOf = (service: string, call: string) => `${service}:${call.replace(/Batch$/, '')}`;

/**
 * Passes requests on to `target` and keeps which calls they were; without a target it answers nothing in particular.
 */
async function startRecorder(target?: string) {
  const calls = new Set<string>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const [, sqsCall] = /^AmazonSQS\.(\w+)$/.exec(String(request.headers['x-amz-target'])) ?? [];
    const ec2Call = new URLSearchParams(body.toString()).get('Action');
    calls.add(sqsCall === undefined ? rightOf('ec2', String(ec2Call)) : rightOf('sqs', sqsCall));
    if (target === undefined) return void response.end('<Response></Response>');
    const headers = Object.entries(request.headers).filter(
      ([name]) => !['host', 'connection', 'content-length'].includes(name),
    );
    const answer = await fetch(target, { method: 'POST', headers: headers as [string, string][], body });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url, calls: () => [...calls].sort(), [Symbol.asyncDispose]: close };
}

/** Nobody's credentials, for SDK clients that are made inside what is tested. */
function useNobodysCredentials(): void {
  process.env['AWS_ACCESS_KEY_ID'] = 'x';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'x';
}

test('publishing and reading take exactly the rights on the queue that the policies give', async (t) => {
  useNobodysCredentials();
  const queue = await startQueueService({ queues: [{ name: 'events.fifo' }] });
  t.after(() => queue.close());
  const queueUrl = queue.queueUrl('events.fifo');
  const signal = AbortSignal.timeout(20_000);
  {
    await using recorder = await startRecorder(queue.endpoint);
    const inventory = new SqsInventory({ queueUrl, region: 'eu-west-1', endpoint: recorder.url });
    t.after(() => inventory.close());
    await inventory.publish([sampleEvent({ id: 'arena-1', status: 'ready', sequence: 1 })], signal);
    assert.deepEqual(allowedBy('agent-policy.json'), recorder.calls());
    assert.deepEqual(allowedBy('wrapper-policy.json'), recorder.calls());
  }
  await using recorder = await startRecorder(queue.endpoint);
  const reader = new SqsQueue({ queueUrl, region: 'eu-west-1', endpoint: recorder.url, now: Date.now, waitSeconds: 0 });
  const { messages } = await reader.receive(signal);
  assert.equal(messages.length, 1);
  assert.equal(await reader.remove(messages, signal), 0);
  reader.close();
  assert.deepEqual(allowedBy('inventory-policy.json'), recorder.calls());
});

test('asking EC2 takes exactly the rights that its policy gives', async () => {
  useNobodysCredentials();
  await using recorder = await startRecorder();
  process.env['AWS_ENDPOINT_URL_EC2'] = recorder.url;
  await askEc2('eu-west-1', 'i-0123456789abcdef0', AbortSignal.timeout(20_000));
  assert.deepEqual(allowedBy('agent-ec2-policy.json'), recorder.calls());
});

test('completing a lifecycle action takes exactly the rights that its policy gives', async () => {
  useNobodysCredentials();
  await using autoScaling = await startAutoScaling('game-servers');
  process.env['AWS_ENDPOINT_URL_AUTO_SCALING'] = autoScaling.url;
  const signal = AbortSignal.timeout(20_000);
  const place = { region: 'eu-west-1', instanceId: 'i-0123456789abcdef0' };
  const action = await openLifecycleAction(place, 'drain', signal);
  await action.heartbeat(signal);
  await action.complete(signal);
  action.close();
  const calls = autoScaling.calls.map(({ Action = '' }) => rightOf('autoscaling', Action));
  assert.deepEqual(allowedBy('agent-auto-scaling-policy.json'), calls.sort());
});

test('no source makes a call of AWS that no policy knows', () => {
  const sources = ['agent', 'wrapper', 'inventory', 'shared'].flatMap((folder) => filesBelow(folder, '.ts'));
  const commands = sources.flatMap((file) => {
    const source = readProjectFile(file);
    // The client of Auto Scaling is called otherwise than its rights.
    const service = /from '@aws-sdk\/client-([\w-]+)'/.exec(source)?.[1]?.replace('-', '');
    const names = service === undefined ? [] : [...source.matchAll(/new (\w+)Command\(/g)].map(([, name = '']) => name);
    return names.map((name) => rightOf(service ?? '', name));
  });
  const policies = filesBelow('manifests/iam', '-policy.json').map((file) => file.slice('manifests/iam/'.length));
  assert.deepEqual([...new Set(commands)].sort(), [...new Set(policies.flatMap(allowedBy))].sort());
});

test('policies name the queue, allow nothing by a wildcard but what EC2 cannot restrict, and say their version', () => {
  for (const file of filesBelow('manifests/iam', '-policy.json')) {
    const { Version, Statement } = JSON.parse(readProjectFile(file)) as Policy;
    assert.equal(Version, '2012-10-17');
    for (const { Action, Resource, Effect } of Statement) {
      assert.equal(Effect, 'Allow');
      assert.doesNotMatch(Action.join(), /\*/);
      // Describe* knows no resources, and the ARN of a group has a UUID that nobody chooses before its name.
      if (Action.every((action) => /^(ec2|autoscaling):Describe/.test(action))) continue;
      assert.match(Resource, /^arn:aws:(sqs:[^*]+|autoscaling:[^*]+:autoScalingGroup:\*:autoScalingGroupName\/[^*]+)$/);
    }
  }
});
