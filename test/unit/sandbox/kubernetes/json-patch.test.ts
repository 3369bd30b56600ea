import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type JsonPatchOperation, jsonPatch } from '../../../../sandbox/kubernetes/patch/json-patch.ts';

const cases: readonly (readonly [title: string, target: unknown, operations: JsonPatchOperation[], result: unknown])[] =
  [
    ['adds a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    ['adds an element', { foo: ['a', 'c'] }, [{ op: 'add', path: '/foo/1', value: 'b' }], { foo: ['a', 'b', 'c'] }],
    ['appends an element', { foo: ['a'] }, [{ op: 'add', path: '/foo/-', value: ['b'] }], { foo: ['a', ['b']] }],
    ['removes a member', { foo: 1, baz: 2 }, [{ op: 'remove', path: '/baz' }], { foo: 1 }],
    ['removes an element', { foo: [1, 2, 3] }, [{ op: 'remove', path: '/foo/1' }], { foo: [1, 3] }],
    ['replaces a value', { foo: 1 }, [{ op: 'replace', path: '/foo', value: 2 }], { foo: 2 }],
    ['replaces the document', { foo: 1 }, [{ op: 'replace', path: '', value: { bar: 2 } }], { bar: 2 }],
    ['moves a value', { a: { b: 1 }, c: {} }, [{ op: 'move', from: '/a/b', path: '/c/d' }], { a: {}, c: { d: 1 } }],
    ['moves an element', { a: [1, 2, 3] }, [{ op: 'move', from: '/a/0', path: '/a/2' }], { a: [2, 3, 1] }],
    ['copies a value', { a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [
      'reads ~1 as a slash and ~0 as a tilde',
      { 'a/b': 1, 'c~1': 2 },
      [
        { op: 'replace', path: '/a~1b', value: 3 },
        { op: 'remove', path: '/c~01' },
      ],
      { 'a/b': 3 },
    ],
    [
      'goes on after a test that holds',
      { a: [1] },
      [
        { op: 'test', path: '/a', value: [1] },
        { op: 'remove', path: '/a/0' },
      ],
      { a: [] },
    ],
    ['does not take text for a number', { a: '10' }, [{ op: 'test', path: '/a', value: 10 }], undefined],
    [
      'stops at a test that fails',
      { a: 1 },
      [
        { op: 'replace', path: '/a', value: 2 },
        { op: 'test', path: '/a', value: 1 },
      ],
      undefined,
    ],
    ['stops at a missing member', { a: 1 }, [{ op: 'remove', path: '/b' }], undefined],
    ['stops at a missing parent', { a: 1 }, [{ op: 'add', path: '/b/c', value: 1 }], undefined],
    ['stops at an index behind the end', { a: [1] }, [{ op: 'add', path: '/a/2', value: 1 }], undefined],
    ['stops at an index with a leading zero', { a: [1, 2] }, [{ op: 'remove', path: '/a/01' }], undefined],
    ['does not replace what is not there', {}, [{ op: 'replace', path: '/a', value: 1 }], undefined],
    ['does not move a value into itself', { a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a/c' }], undefined],
    ['does not find what every object inherits', {}, [{ op: 'test', path: '/constructor', value: null }], undefined],
    ['stops at an unknown operation', {}, [{ op: 'dance', path: '/a' }], undefined],
    ['stops at a pointer without its slash', { a: 1 }, [{ op: 'remove', path: 'a' }], undefined],
    ['stops at an add without a value', {}, [{ op: 'add', path: '/a' }], undefined],
  ];

const name = fc.constantFrom('a', 'b', 'a/b', '~', '__proto__');
const document = fc.dictionary(name, fc.oneof(fc.integer(), fc.array(fc.integer(), { maxLength: 3 })), {
  minKeys: 1,
  noNullPrototype: true,
});

function pointer(part: string): string {
  return `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

describe('A JSON patch', () => {
  for (const [title, target, operations, result] of cases) {
    it(title, () => {
      const before = structuredClone(target);
      assert.deepEqual(jsonPatch(target, operations), result);
      assert.deepEqual(target, before);
    });
  }

  it('is undone by its inverse', () => {
    fc.assert(
      fc.property(document, name, fc.integer(), (target, key, value) => {
        const path = pointer(key);
        const had = Object.hasOwn(target, key);
        const changed = jsonPatch(target, [{ op: 'add', path, value }]);
        const inverse = had ? { op: 'replace', path, value: target[key] } : { op: 'remove', path };
        assert.deepEqual(jsonPatch(changed, [{ op: 'test', path, value }, inverse]), target);
      }),
    );
  });

  it('moved there and back is where it was', () => {
    fc.assert(
      fc.property(document, (target) => {
        const [first = ''] = Object.keys(target);
        const [from, path] = [pointer(first), '/elsewhere'];
        const moved = jsonPatch(target, [{ op: 'move', from, path }]);
        assert.deepEqual(jsonPatch(moved, [{ op: 'move', from: path, path: from }]), target);
      }),
    );
  });
});
