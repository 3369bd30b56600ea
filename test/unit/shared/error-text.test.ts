import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { errorText } from '../../../shared/log.ts';

const awsError = (name: string, message: string, httpStatusCode?: number): Error =>
  Object.assign(new Error(message), { name, $fault: 'client', $metadata: { httpStatusCode } });

const refused = (address: string): Error => new Error(`connect ECONNREFUSED ${address}`);

const texts: readonly (readonly [name: string, error: unknown, text: string])[] = [
  ['an error', new Error('Cannot read x'), 'Cannot read x'],
  ['an error without a message', new TypeError(), 'TypeError'],
  [
    'an error with causes',
    new Error('Cannot drain', { cause: new Error('no API', { cause: new Error('ECONNRESET') }) }),
    'Cannot drain: no API: ECONNRESET',
  ],
  [
    'a cause that the message quotes',
    new Error('Cannot x: ECONNRESET', { cause: new Error('ECONNRESET') }),
    'Cannot x: ECONNRESET',
  ],
  ['a cause that is a text', new Error('Cannot x', { cause: 'because' }), 'Cannot x: because'],
  [
    'a connect to several addresses',
    new AggregateError([refused('::1:80'), refused('127.0.0.1:80')]),
    'connect ECONNREFUSED ::1:80, connect ECONNREFUSED 127.0.0.1:80',
  ],
  [
    'a failed fetch',
    new TypeError('fetch failed', { cause: new AggregateError([refused('127.0.0.1:80')]) }),
    'fetch failed: connect ECONNREFUSED 127.0.0.1:80',
  ],
  ['an aggregate without parts', new AggregateError([]), ''],
  [
    'a timeout',
    AbortSignal.abort(new DOMException('The operation timed out', 'TimeoutError')).reason,
    'The operation timed out',
  ],
  [
    'an answer of AWS',
    awsError('QueueDoesNotExist', 'The specified queue does not exist.', 400),
    'QueueDoesNotExist: The specified queue does not exist.',
  ],
  ['an answer of AWS without a body', awsError('UnknownError', 'UnknownError', 503), 'UnknownError: HTTP 503'],
  ['no answer of AWS', awsError('TimeoutError', '', undefined), 'TimeoutError: no answer'],
  [
    'an answer object of Kubernetes',
    { kind: 'Status', code: 410, message: 'too old resource version' },
    'too old resource version',
  ],
  ['a text', 'nothing to be done', 'nothing to be done'],
  ['null', null, 'null'],
  ['undefined', undefined, ''],
  ['a number', 7, '7'],
  ['a message of several lines', new Error('one\r\n   two\n\tthree\u001b[31m\u0000'), 'one two three [31m'],
];

for (const [name, error, text] of texts)
  test(`${name} reads well on one line`, () => {
    assert.equal(errorText(error), text);
  });

const jwt = `eyJhbGciOiJSUzI1NiJ9.${'a'.repeat(40)}.${'b'.repeat(40)}`;
const secretTexts: readonly (readonly [name: string, message: string])[] = [
  ['a password in an address', 'connect to http://admin:s3cretWord@proxy.example:3128 failed'],
  ['a session token in a canonical request', 'x-amz-date:20260424T171144Z\nx-amz-security-token:s3cretWord+/=\n'],
  ['a session token in a URL', 'GET /?X-Amz-Security-Token=s3cretWord&X-Amz-Date=1'],
  ['a signature in a URL', 'GET /?X-Amz-Signature=s3cretWord'],
  ['a metadata token', '{"x-aws-ec2-metadata-token":"s3cretWord"}'],
  ['an Authorization header', 'headers: {"Authorization":"AWS4-HMAC-SHA256 s3cretWord"}'],
  ['a bearer token', 'sent Bearer s3cretWord and got 401'],
  ['a secret key', 'AWS_SECRET_ACCESS_KEY=s3cretWord'],
  ['a secret key in JSON', '{"SecretAccessKey": "s3cretWord", "SessionToken": "s3cretWord"}'],
  ['a service-account token', `token ${jwt} was refused`],
];

for (const [name, message] of secretTexts)
  test(`${name} does not reach a log`, () => {
    const text = errorText(new Error('Cannot x', { cause: new Error(message) }));
    assert.match(text, /^Cannot x: .*\*\*\*/);
    assert.doesNotMatch(text, /s3cretWord|eyJ/);
  });

test('what is around a secret stays', () => {
  const text = errorText(new Error('connect to http://u:p@host:1/x failed, X-Amz-Signature=abc&X-Amz-Date=2026'));
  assert.equal(text, 'connect to http://***@host:1/x failed, X-Amz-Signature=***&X-Amz-Date=2026');
});

test('an error that is its own cause has an end', () => {
  const error = new Error('round');
  error.cause = error;
  assert.equal(errorText(error), 'round');
});

test('any thrown value gives one bounded line without control characters', () => {
  const thrown = fc.oneof(
    fc.anything({ withNullPrototype: true }),
    fc.string({ unit: 'binary', maxLength: 3000 }).map((message) => new Error(message)),
    fc
      .array(fc.string({ unit: 'binary' }).map((message) => new Error(message)))
      .map((errors) => new AggregateError(errors)),
  );
  fc.assert(
    fc.property(thrown, (value) => {
      const text = errorText(value);
      assert.ok(text.length <= 1000);
      assert.doesNotMatch(text, /\p{Cc}/u);
    }),
  );
});
