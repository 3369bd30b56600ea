import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, type TestContext, test } from 'node:test';
import nock from 'nock';
import type { PublishOutcome } from '../../../shared/events/inventory.ts';
import { SqsInventory } from '../../../shared/events/sqs-inventory.ts';
import { errorText } from '../../../shared/log.ts';
import { event } from '../../unit/shared/scripted-inventory.ts';

/*
 * What SQS answers and the sandbox does not: nock stands in for AWS's own hosts here. It patches Node's sockets for the
 * whole process, so this file holds no other tests.
 */

before(() => {
  process.env['AWS_ACCESS_KEY_ID'] = 'AKIDEXAMPLE';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'wJalrXUtnFEMI';
  process.env['AWS_SESSION_TOKEN'] = 'FwoGZXIvYXdzEXAMPLE';
  nock.disableNetConnect();
});
afterEach(() => nock.cleanAll());
after(() => {
  nock.enableNetConnect();
  nock.restore();
});

const host = 'https://sqs.eu-west-1.amazonaws.com';
const events = [event('a', 1), event('b', 1)];

interface Entry {
  readonly Id: string;
  readonly MessageBody: string;
}

function publish(t: TestContext, queueUrl = `${host}/123456789012/events`, region?: string): Promise<PublishOutcome> {
  const inventory = new SqsInventory({ queueUrl, region, endpoint: undefined });
  t.after(() => inventory.close());
  return inventory.publish(events, AbortSignal.timeout(10_000));
}

async function entriesOf(request: Request): Promise<readonly Entry[]> {
  const { Entries } = (await request.json()) as { Entries: readonly Entry[] };
  return Entries;
}

function taken({ Id, MessageBody }: Entry): object {
  const MD5OfMessageBody = createHash('md5').update(MessageBody).digest('hex');
  return { Id, MessageId: `message-${Id}`, MD5OfMessageBody };
}

/** Answers one call with what `reply` makes of its messages. */
function answerCall(reply: (entries: readonly Entry[]) => object): void {
  nock(host)
    .post('/')
    .reply(200, async (request: Request) => reply(await entriesOf(request)));
}

const takeAll = (entries: readonly Entry[]): object => ({ Successful: entries.map(taken), Failed: [] });

/** Takes the first message and fails the second as told. */
function failSecond(failure: {
  readonly Code: string;
  readonly SenderFault: boolean;
  readonly Message?: string;
}): void {
  answerCall((entries) => ({
    Successful: entries.slice(0, 1).map(taken),
    Failed: entries.slice(1).map(({ Id }) => ({ Id, ...failure })),
  }));
}

function refuseCall(status: number, code: string, message: string): nock.Interceptor {
  const interceptor = nock(host).post('/');
  interceptor.reply(
    status,
    { __type: `com.amazonaws.sqs#${code}`, message },
    { 'x-amzn-query-error': `${code};Sender` },
  );
  return interceptor;
}

const failures: readonly (readonly [code: string, isSendersFault: boolean, isForGood: boolean])[] = [
  ['InvalidMessageContents', true, true],
  ['InvalidParameterValue', true, true],
  ['InternalError', false, false],
  ['InternalFailure', false, false],
  ['ServiceUnavailable', false, false],
  // These SQS counts as the sender's fault, and they pass all the same.
  ['RequestThrottled', true, false],
  ['ThrottlingException', true, false],
  ['KMS.ThrottlingException', true, false],
  ['KmsDisabled', true, false],
  ['OverLimit', true, false],
];

for (const [code, isSendersFault, isForGood] of failures)
  test(`a message that fails with ${code} is ${isForGood ? 'refused' : 'left to be sent again'}`, async (t) => {
    failSecond({ Code: code, SenderFault: isSendersFault, Message: 'for a reason' });
    assert.deepEqual(await publish(t), {
      published: ['a/1/ready'],
      refused: isForGood ? [{ id: 'b/1/ready', reason: `${code}: for a reason` }] : [],
    });
  });

test('a call of which nothing was taken says why', async (t) => {
  const failed = (Id: string) => ({ Id, Code: 'InternalError', SenderFault: false });
  nock(host)
    .post('/')
    .reply(200, { Successful: [], Failed: [failed('0'), failed('1')] });
  await assert.rejects(publish(t), {
    message: `Cannot publish to ${host}/123456789012/events: InternalError: no message`,
  });
});

test('an answer about messages that were not sent settles none of ours', async (t) => {
  const failed = { Id: '7', Code: 'InvalidMessageContents', SenderFault: true };
  nock(host)
    .post('/')
    .reply(200, { Successful: [], Failed: [failed] });
  assert.deepEqual(await publish(t), {
    published: [],
    refused: [{ id: '', reason: 'InvalidMessageContents: no message' }],
  });
});

const refusals: readonly (readonly [status: number, code: string, text: RegExp])[] = [
  [400, 'QueueDoesNotExist', /^QueueDoesNotExist: the reason$/],
  [403, 'AccessDeniedException', /^AccessDeniedException: the reason$/],
  [403, 'InvalidClientTokenId', /^InvalidClientTokenId: the reason$/],
  [403, 'ExpiredToken', /^ExpiredToken: the reason$/],
  [403, 'RequestThrottled', /^RequestThrottled: the reason$/],
  [400, 'KmsAccessDenied', /^KmsAccessDenied: the reason$/],
  [500, 'InternalFailure', /^InternalFailure: the reason$/],
];

for (const [status, code, text] of refusals)
  test(`a call that is refused with ${code} leaves its messages to be sent again`, async (t) => {
    refuseCall(status, code, 'the reason');
    await assert.rejects(publish(t), (error) => text.test(errorText(error)));
  });

for (const [status, body] of [
  [503, ''],
  [502, '<html><body>Bad gateway</body></html>'],
  [200, '<html><body>Welcome to the hotel</body></html>'],
] as const)
  test(`an answer ${status} of somebody between us and SQS is a failure: ${JSON.stringify(body.slice(0, 6))}`, async (t) => {
    nock(host).post('/').reply(status, body);
    await assert.rejects(publish(t), (error) => /^\S.{3,}$/.test(errorText(error)));
  });

for (const code of ['BatchRequestTooLong', 'InvalidMessageContents', 'InvalidParameterValue'])
  test(`a call that is refused with ${code} is made again message by message`, async (t) => {
    refuseCall(400, code, 'together');
    answerCall(takeAll);
    refuseCall(400, code, 'alone');
    assert.deepEqual(await publish(t), {
      published: ['a/1/ready'],
      refused: [{ id: 'b/1/ready', reason: `${code}: alone` }],
    });
  });

test('what was settled message by message is not lost when the queue goes in between', async (t) => {
  refuseCall(400, 'BatchRequestTooLong', 'together');
  answerCall(takeAll);
  refuseCall(500, 'InternalFailure', 'gone');
  assert.deepEqual(await publish(t), { published: ['a/1/ready'], refused: [] });
});

test('a refused signature tells no token', async (t) => {
  const canonical = "The Canonical String was 'POST\n/\n\nx-amz-security-token:FwoGZXIvYXdzEXAMPLE\n'";
  refuseCall(403, 'SignatureDoesNotMatch', canonical);
  await assert.rejects(publish(t), (error) => {
    assert.match(errorText(error), /^SignatureDoesNotMatch: .*x-amz-security-token:\*\*\*/);
    assert.doesNotMatch(errorText(error), /FwoGZXIvYXdzEXAMPLE/);
    return true;
  });
});

const regions: readonly (readonly [queueUrl: string, region: string])[] = [
  ['https://sqs.eu-west-1.amazonaws.com/1/q', 'eu-west-1'],
  ['https://sqs-fips.us-gov-west-1.amazonaws.com/1/q', 'us-gov-west-1'],
  ['https://sqs.cn-north-1.amazonaws.com.cn/1/q', 'cn-north-1'],
  ['https://sqs.eu-west-1.api.aws/1/q', 'eu-west-1'],
  ['https://eu-west-2.queue.amazonaws.com/1/q', 'eu-west-2'],
  ['https://vpce-0a1b-2c3d.sqs.ap-south-1.vpce.amazonaws.com/1/q', 'ap-south-1'],
  ['https://sqs.eu-west-1.example.com/1/q', 'us-east-2'],
];

for (const [queueUrl, region] of regions)
  test(`requests to ${new URL(queueUrl).host} are signed for ${region}, in a pod whose AWS_REGION is us-east-2`, async (t) => {
    const { origin } = new URL(queueUrl);
    let authorization = '';
    nock(origin)
      .matchHeader('authorization', (value) => {
        authorization = String(value);
        return true;
      })
      .post('/')
      .reply(200, async (request: Request) => takeAll(await entriesOf(request)));
    assert.equal((await publish(t, queueUrl, 'us-east-2')).published.length, 2);
    assert.match(authorization, new RegExp(`Credential=AKIDEXAMPLE/\\d+/${region}/sqs/aws4_request`));
  });
