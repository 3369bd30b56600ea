import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type JsonMap, mergePatch } from '../../../../sandbox/kubernetes/patch/merge-patch.ts';

/** The examples of RFC 7386, appendix A. */
const examples: readonly (readonly [target: unknown, patch: unknown, result: unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

/** Keys that exist on every object of JavaScript are ordinary keys of JSON. */
const key = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toString'),
  fc.string({ maxLength: 3 }),
);
const { document } = fc.letrec<{ document: unknown }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, false, 0, 1, 'x', ''),
    fc.array(tie('document'), { maxLength: 3 }),
    fc.dictionary(key, tie('document'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const map = fc.dictionary(key, document, { maxKeys: 4, noNullPrototype: true });

function hasNull(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.values(value).some(hasNull));
}

describe('A merge patch', () => {
  for (const [target, patch, result] of examples) {
    it(`makes ${JSON.stringify(result)} of ${JSON.stringify(target)} by ${JSON.stringify(patch)}`, () => {
      assert.deepEqual(mergePatch(target, patch), result);
    });
  }

  it('applied twice does no more than once', () => {
    fc.assert(
      fc.property(document, map, (target, patch) => {
        const once = mergePatch(target, patch);
        assert.deepEqual(mergePatch(once, patch), once);
      }),
    );
  });

  it('that is empty leaves a map as it was', () => {
    fc.assert(fc.property(map, (target) => assert.deepEqual(mergePatch(target, {}), target)));
  });

  it('without nulls, on nothing, is the document itself', () => {
    fc.assert(
      fc.property(
        map.filter((patch) => !hasNull(patch)),
        (patch) => assert.deepEqual(mergePatch(undefined, patch), patch),
      ),
    );
  });

  it('changes neither the target nor the patch', () => {
    fc.assert(
      fc.property(document, document, (target, patch) => {
        const before = structuredClone([target, patch]);
        mergePatch(target, patch);
        assert.deepEqual([target, patch], before);
      }),
    );
  });

  it('sets a key named __proto__ and no prototype', () => {
    const result = mergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}')) as JsonMap;
    assert.equal(Object.hasOwn(result, '__proto__'), true);
    assert.equal(result['polluted'], undefined);
  });
});
