import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedCredentials } from '../../../sandbox/kube-client/kube-client.ts';
import { startApiServer } from '../../../sandbox/kubernetes/api-server.ts';
import { KubeError } from '../../../shared/kubernetes/kube-answer.ts';
import { KubeConnection } from '../../../shared/kubernetes/kube-connection.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { testCertificates } from '../../support/test-certificates.ts';

const path = '/api/v1/pods?watch=true&allowWatchBookmarks=true';

test('a watch in which nothing happens lives by its bookmarks, and is dead when none has come for 75 s', async (t) => {
  const api = await startApiServer();
  await using proxy = await startFaultProxy({ target: new URL(api.url) });
  const connection = new KubeConnection(fixedCredentials(proxy.url, { ca: testCertificates.first.cert }));
  t.after(() => connection.close());
  t.after(() => api.close());
  const types: string[] = [];
  let silentSinceMs = 0;
  const read = async () => {
    for await (const line of connection.lines(path, AbortSignal.timeout(250_000))) {
      types.push((JSON.parse(line) as { type: string }).type);
      // The second bookmark shows that the first one has kept the watch alive.
      if (types.length < 2) continue;
      proxy.silenceWatches();
      silentSinceMs = performance.now();
    }
  };
  await assert.rejects(read(), (error) => error instanceof KubeError && /no data for 75000 ms/.test(error.message));
  assert.deepEqual(types, ['BOOKMARK', 'BOOKMARK']);
  assert.ok(performance.now() - silentSinceMs < 120_000);
});
