import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Pod } from '../../../../sandbox/kubernetes/objects.ts';
import { nodes, pods } from '../../../../sandbox/kubernetes/registry/table.ts';
import { Store } from '../../../../sandbox/kubernetes/storage/store.ts';
import { watchEvent } from '../../../../sandbox/kubernetes/storage/watch-event.ts';
import { aNode, aPod } from './cluster-objects.ts';

function labelled(name: string, app: string): Pod {
  return aPod(name, { meta: { labels: { app } } });
}

describe('The store', () => {
  it('gives every write of any resource a version of its own, the deletion too', () => {
    const store = new Store({ firstVersion: 100 });
    const pod = store.put(pods, aPod('a'));
    const node = store.put(nodes, aNode('n1'));
    const gone = store.remove(pods, pod);
    assert.deepEqual(
      [pod, node, gone].map(({ metadata }) => metadata.resourceVersion),
      ['101', '102', '103'],
    );
  });

  it('keeps nobody who holds an object able to change it', () => {
    const store = new Store();
    const pod = store.put(pods, aPod('a'));
    assert.throws(() => {
      pod.spec.containers.push({ name: 'b' });
    }, TypeError);
  });

  it('lists by namespace and name', () => {
    const store = new Store();
    for (const name of ['b', 'a', 'c']) store.put(pods, aPod(name));
    assert.deepEqual(
      store.list(pods, 'arena').map(({ metadata }) => metadata.name),
      ['a', 'b', 'c'],
    );
    assert.deepEqual(store.list(pods, 'other'), []);
  });

  it('shows any earlier moment that it remembers as it was', () => {
    const write = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      app: fc.constantFrom('x', 'y'),
      gone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 12 }), (writes) => {
        const store = new Store();
        const moments = [{ version: store.resourceVersion, list: store.list(pods) }];
        for (const { name, app, gone } of writes) {
          const current = store.get(pods, 'arena', name);
          if (gone && current !== undefined) store.remove(pods, current);
          else store.put(pods, labelled(name, app));
          moments.push({ version: store.resourceVersion, list: store.list(pods) });
        }
        for (const { version, list } of moments) assert.deepEqual(store.listAt(pods, version), list);
      }),
    );
  });

  it('remembers no more changes than its bound, and knows which it forgot', () => {
    const store = new Store({ historyLimit: 10 });
    for (let count = 0; count < 100; count++) store.put(pods, aPod('a'));
    const kept = store.changesAfter(pods, store.resourceVersion - 5);
    assert.ok(Array.isArray(kept) && kept.length === 5);
    const lost = store.changesAfter(pods, 2);
    assert.ok('oldest' in lost && lost.oldest >= 90);
    assert.equal(store.listAt(pods, 2), undefined);
  });

  it('forgets for resources too that had no change yet', () => {
    const store = new Store();
    store.put(pods, aPod('a'));
    store.forgetHistory();
    assert.deepEqual(store.changesAfter(nodes, 1), { oldest: 2 });
    assert.deepEqual(store.changesAfter(nodes, 2), []);
  });

  it('tells nobody who has left', () => {
    const store = new Store();
    let told = 0;
    const unsubscribe = store.subscribe(pods, () => {
      told += 1;
    });
    store.put(pods, aPod('a'));
    unsubscribe();
    store.put(pods, aPod('b'));
    assert.equal(told, 1);
  });
});

describe('A watcher that folds what it sees', () => {
  it('has at every moment the list that it could have asked for', () => {
    const write = fc.record({
      name: fc.constantFrom('a', 'b'),
      app: fc.constantFrom('game', 'other'),
      gone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 15 }), (writes) => {
        const store = new Store();
        const selects = ({ metadata }: { metadata: Pod['metadata'] }): boolean => metadata.labels?.['app'] === 'game';
        const known = new Map<string, string>();
        store.subscribe(pods, (change) => {
          const event = watchEvent(change, selects);
          if (event === undefined) return;
          const { name, resourceVersion } = event.object.metadata;
          assert.equal(known.has(name), event.type !== 'ADDED', 'ADDED exactly what was not there');
          assert.equal(resourceVersion, String(change.resourceVersion));
          if (event.type === 'DELETED') known.delete(name);
          else known.set(name, resourceVersion);
        });
        for (const { name, app, gone } of writes) {
          const current = store.get(pods, 'arena', name);
          if (gone && current !== undefined) store.remove(pods, current);
          else store.put(pods, labelled(name, app));
          const listed = store
            .list(pods)
            .filter(selects)
            .map(({ metadata }) => [metadata.name, metadata.resourceVersion]);
          assert.deepEqual([...known].sort(), listed.sort());
        }
      }),
    );
  });

  it('sees an object that leaves the selection deleted, in the state that still fitted', () => {
    const before = labelled('a', 'game');
    const after = { ...labelled('a', 'other'), metadata: { ...labelled('a', 'other').metadata, resourceVersion: '9' } };
    const event = watchEvent(
      { type: 'MODIFIED', resourceVersion: 9, object: after, previous: before },
      ({ metadata }) => metadata.labels?.['app'] === 'game',
    );
    assert.equal(event?.type, 'DELETED');
    assert.deepEqual(event?.object.metadata, { ...before.metadata, resourceVersion: '9' });
  });
});
