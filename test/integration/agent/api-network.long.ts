import { describe, test } from 'node:test';
import { startNetworkScene, surviveOutage } from './scene/network-scene.ts';

describe('an agent whose API server is cut off for', { concurrency: 2 }, () => {
  for (const seconds of [60, 110])
    test(`${seconds} s is back within a second, with nothing of the time in between, and as small as before`, async () => {
      await using network = await startNetworkScene();
      await surviveOutage(network, seconds * 1000);
    });
});
