import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Fault, Faults, parseFaultRule } from '../../../sandbox/faults.ts';

// A fault that hangs touches neither request nor response, so which requests it meets can be tried without sockets.
const hang: Fault = { kind: 'hang' };

function meets(faults: Faults, method: string, url: string): Promise<boolean> {
  return faults.apply({ method, url } as IncomingMessage, {} as ServerResponse);
}

const text = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record(
    { kind: fc.constant('status' as const), status: fc.integer({ min: 200, max: 599 }), body: text },
    { requiredKeys: ['kind', 'status'], noNullPrototype: true },
  ),
  fc.record(
    { kind: fc.constant('delay' as const), delayMs: fc.integer({ min: 0, max: 3_600_000 }) },
    { noNullPrototype: true },
  ),
  fc.record({ kind: fc.constantFrom('hang' as const, 'reset' as const) }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant('garbage' as const), body: text }, { requiredKeys: ['kind'], noNullPrototype: true }),
);
const rule = fc.record(
  {
    id: text,
    method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE'),
    path: fc.constantFrom('', '/latest', '^/a$', 'x|y'),
    fault,
    times: fc.integer({ min: 1 }),
    probability: fc.double({ min: 0, max: 1, noNaN: true }),
  },
  { requiredKeys: ['fault'], noNullPrototype: true },
);

describe('parseFaultRule', () => {
  it('takes every rule of the vocabulary as it is', () => {
    fc.assert(fc.property(rule, (given) => assert.deepEqual(parseFaultRule(given), given)));
  });

  it('answers any JSON with a rule or a TypeError that says what is wrong with it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('status', 'delay', 'hang', 'reset', 'garbage'), (value, kind) => {
        for (const given of [
          value,
          { fault: value },
          { fault: { kind, status: value, delayMs: value, body: value } },
        ]) {
          try {
            assert.ok(parseFaultRule(given).fault);
          } catch (error) {
            assert.ok(error instanceof TypeError);
            assert.match(error.message, /^Bad fault rule: .*\b(rule|fault)/);
          }
        }
      }),
    );
  });

  it('writes a method in capitals, as requests do', () => {
    assert.equal(parseFaultRule({ method: 'put', fault: hang }).method, 'PUT');
  });

  const bad: [field: string, rule: unknown][] = [
    ['the rule', null],
    ['the rule', [hang]],
    ['unknown field status', { fault: hang, status: 500 }],
    ['fault', {}],
    ['fault.kind', { fault: { kind: 'explode' } }],
    ['unknown field status in fault', { fault: { kind: 'hang', status: 500 } }],
    ['fault.status', { fault: { kind: 'status' } }],
    ['fault.status', { fault: { kind: 'status', status: '503' } }],
    ['fault.status', { fault: { kind: 'status', status: 100 } }],
    ['fault.status', { fault: { kind: 'status', status: 600 } }],
    ['fault.headers', { fault: { kind: 'status', status: 503, headers: [] } }],
    ['fault.headers.a b', { fault: { kind: 'status', status: 503, headers: { 'a b': 'c' } } }],
    ['fault.headers.a', { fault: { kind: 'status', status: 503, headers: { a: 'line\nline' } } }],
    ['fault.headers.a', { fault: { kind: 'status', status: 503, headers: { a: 1 } } }],
    ['fault.body', { fault: { kind: 'status', status: 503, body: {} } }],
    ['fault.delayMs', { fault: { kind: 'delay' } }],
    ['fault.delayMs', { fault: { kind: 'delay', delayMs: -1 } }],
    ['fault.delayMs', { fault: { kind: 'delay', delayMs: 3_600_001 } }],
    ['id', { id: '', fault: hang }],
    ['method', { method: 7, fault: hang }],
    ['path', { path: '(', fault: hang }],
    ['path', { path: 'x'.repeat(1_001), fault: hang }],
    ['times', { times: 0, fault: hang }],
    ['times', { times: 1.5, fault: hang }],
    ['probability', { probability: 1.1, fault: hang }],
    ['probability', { probability: Number.NaN, fault: hang }],
  ];
  for (const [field, given] of bad) {
    it(`names ${field} in what is wrong with ${JSON.stringify(given).slice(0, 80)}`, () => {
      assert.throws(
        () => parseFaultRule(given),
        (error) => error instanceof TypeError && error.message.startsWith(`Bad fault rule: ${field}`),
      );
    });
  }
});

describe('Faults', () => {
  it('leave requests alone while there is no rule', async () => {
    assert.equal(await meets(new Faults(), 'GET', '/'), false);
  });

  it('meet only the method and the path and query of their rule', async () => {
    const faults = new Faults();
    faults.add({ method: 'GET', path: '^/a\\?b', fault: hang });
    assert.equal(await meets(faults, 'GET', '/a?b=1'), true);
    assert.equal(await meets(faults, 'PUT', '/a?b=1'), false);
    assert.equal(await meets(faults, 'GET', '/a'), false);
  });

  it('are held against the target instead where one is named', async () => {
    const faults = new Faults();
    faults.add({ path: 'Action=SendMessage$', fault: hang });
    const request = { method: 'POST', url: '/' } as IncomingMessage;
    assert.equal(await faults.apply(request, {} as ServerResponse, '/?Action=SendMessage'), true);
    assert.equal(await faults.apply(request, {} as ServerResponse), false);
  });

  it('never meet the control surface', async () => {
    const faults = new Faults();
    faults.add({ fault: hang });
    assert.equal(await meets(faults, 'GET', '/sandbox/faults'), false);
    assert.equal(await meets(faults, 'GET', '/sandbox'), false);
    assert.equal(await meets(faults, 'GET', '/sandboxes'), true);
  });

  it('meet as many requests as the rule says and count down in the list', async () => {
    const faults = new Faults();
    faults.add({ path: '/a', fault: hang, times: 2 });
    assert.equal(await meets(faults, 'GET', '/a'), true);
    assert.equal(await meets(faults, 'GET', '/b'), false);
    assert.equal(faults.list()[0]?.times, 1);
    assert.equal(await meets(faults, 'GET', '/a'), true);
    assert.equal(await meets(faults, 'GET', '/a'), false);
    assert.deepEqual(faults.list(), []);
  });

  it('meet a request with the probability of their rule, and let a later rule have what they let go', async () => {
    const chances = [0.29, 0.31];
    const faults = new Faults(() => chances.shift() ?? 0);
    faults.add({ id: 'rare', fault: hang, probability: 0.3 });
    faults.add({ id: 'next', path: '/never', fault: hang });
    assert.equal(await meets(faults, 'GET', '/a'), true);
    assert.equal(await meets(faults, 'GET', '/a'), false);
  });

  it('never meet a request with probability 0, and always with 1', async () => {
    const faults = new Faults(() => 0);
    faults.add({ id: 'chance', fault: hang, probability: 0 });
    assert.equal(await meets(faults, 'GET', '/'), false);
    const certain = new Faults(() => 0.999_999);
    certain.add({ id: 'chance', fault: hang, probability: 1 });
    assert.equal(await meets(certain, 'GET', '/'), true);
  });

  it('let the first rule that was added decide', async () => {
    const faults = new Faults();
    faults.add({ id: 'first', fault: hang, times: 1 });
    faults.add({ id: 'second', fault: hang, times: 1 });
    await meets(faults, 'GET', '/');
    assert.deepEqual(
      faults.list().map(({ id }) => id),
      ['second'],
    );
  });

  it('replace a rule of the same id, and never give an id that is taken', () => {
    const faults = new Faults();
    faults.add({ id: 'fault-1', fault: hang });
    faults.add({ id: 'fault-1', fault: { kind: 'reset' } });
    assert.equal(faults.add({ fault: hang }), 'fault-2');
    assert.deepEqual(faults.list()[0], { id: 'fault-1', fault: { kind: 'reset' } });
  });

  it('forget one rule, and all', () => {
    const faults = new Faults();
    const id = faults.add({ fault: hang });
    assert.equal(faults.remove(id), true);
    assert.equal(faults.remove(id), false);
    faults.add({ fault: hang });
    faults.clear();
    assert.deepEqual(faults.list(), []);
  });

  it('refuse a bad rule and the rule beyond the thousandth', () => {
    const faults = new Faults();
    assert.throws(() => faults.add({ fault: hang, times: -1 }), TypeError);
    for (let added = 0; added < 1_000; added += 1) faults.add({ fault: hang });
    assert.throws(() => faults.add({ fault: hang }), /1000 rules are the most/);
    assert.equal(faults.add({ id: 'fault-1', fault: hang }), 'fault-1');
  });
});
