import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseApiServerFlags } from '../../../../sandbox/kubernetes/flags.ts';
import { representationOf } from '../../../../sandbox/kubernetes/http/answer.ts';
import { RateLimiter } from '../../../../sandbox/kubernetes/http/rate-limit.ts';
import { targetOf } from '../../../../sandbox/kubernetes/http/target.ts';

const targets: readonly (readonly [path: string, meaning: string])[] = [
  ['/api/v1/nodes', 'resource nodes'],
  ['/api/v1/nodes/n1/status', 'resource nodes n1 status'],
  ['/api/v1/namespaces/arena', 'resource namespaces arena'],
  ['/api/v1/namespaces/arena/status', 'resource namespaces arena status'],
  ['/api/v1/namespaces/arena/pods', 'resource pods arena/'],
  ['/api/v1/namespaces/arena/pods/gs-1/eviction', 'resource pods arena/ gs-1 eviction'],
  ['/apis/apps/v1/namespaces/arena/deployments/gs/scale', 'resource deployments arena/ gs scale'],
  ['/apis/authentication.k8s.io/v1/tokenreviews', 'review tokenreviews'],
  ['/api/v1/namespaces/arena/dragons', 'unknown dragons arena/'],
  ['/api/v1/namespaces/arena/pods/gs-1/dragon', 'unknown pods arena/ gs-1 dragon'],
  ['/apis/example.com/v1/dragons', 'path'],
  ['/api/v1/namespaces/%zz/pods', 'path'],
  ['/livez', 'path'],
  ['/', 'path'],
];

function describeTarget(path: string): string {
  const target = targetOf(path);
  if (target.kind === 'path') return 'path';
  const { plural, namespace, name, subresource } = target.at;
  const place = namespace === undefined ? undefined : `${namespace}/`;
  return [target.kind, plural, place, name, subresource].filter((part) => part !== undefined).join(' ');
}

const accepts: readonly (readonly [accept: string | undefined, representation: string | undefined])[] = [
  [undefined, 'object'],
  ['*/*', 'object'],
  ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'object'],
  ['application/vnd.kubernetes.protobuf,application/json', 'object'],
  ['application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1', 'metadata'],
  ['application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json', 'metadata'],
  ['text/html', undefined],
  ['application/vnd.kubernetes.protobuf', undefined],
];

const badFlags: readonly (readonly [argv: string[], named: RegExp])[] = [
  [['--port', '99999'], /--port "99999"/],
  [['--latency', 'soon'], /--latency "soon"/],
  [['--rate-limit', '0/5'], /--rate-limit "0\/5"/],
  [['--rate-limit', '5'], /--rate-limit "5"/],
  [['--dragon'], /--dragon/],
  [['file'], /file/],
];

describe('A path', () => {
  for (const [path, meaning] of targets)
    it(`${path} means ${meaning}`, () => assert.equal(describeTarget(path), meaning));
});

describe('The Accept header', () => {
  for (const [accept, representation] of accepts) {
    it(`${accept} asks for ${representation}`, () => assert.equal(representationOf(accept), representation));
  }
});

describe('The rate limit', () => {
  it('admits a burst, then as many as it says', () => {
    let nowMs = 0;
    const limiter = new RateLimiter({ callsPerSecond: 2, burst: 3 }, () => nowMs);
    const admitted = (): number => Array.from({ length: 10 }, () => limiter.admit()).filter(Boolean).length;
    assert.equal(admitted(), 3);
    nowMs = 1_000;
    assert.equal(admitted(), 2);
    nowMs = 100_000;
    assert.equal(admitted(), 3);
  });
});

describe('The command line', () => {
  it('is read', () => {
    assert.deepEqual(
      parseApiServerFlags([
        '--port',
        '7000',
        '--latency',
        '20ms',
        '--rate-limit',
        '5/10',
        '--kubeconfig-out',
        'f',
        '--exit-with-parent',
      ]),
      {
        kind: 'run',
        port: 7000,
        latencyMs: 20,
        rateLimit: { callsPerSecond: 5, burst: 10 },
        kubeconfigFile: 'f',
        exitsWithParent: true,
      },
    );
  });

  for (const [argv, named] of badFlags) {
    it(`with ${argv.join(' ')} is refused in one line`, () => {
      const flags = parseApiServerFlags(argv);
      assert.ok(flags.kind === 'problem');
      assert.match(flags.message, named);
      assert.doesNotMatch(flags.message, /\n/);
    });
  }
});
