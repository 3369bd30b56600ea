import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { replay, type Scene } from './replay/replay.ts';
import { nodeScenes } from './replay/scenes-of-nodes.ts';
import { podScenes } from './replay/scenes-of-pods.ts';
import { wireScenes } from './replay/scenes-of-the-wire.ts';
import { workloadScenes } from './replay/scenes-of-workloads.ts';

/**
 * The double against recordings of a real API server. What is left out, and why, stands with each scene; the figures
 * here make it show when an exchange is dropped quietly.
 */
const scenes: readonly (readonly [scene: Scene, compared: number])[] = [
  ...nodeScenes,
  ...podScenes,
  ...workloadScenes,
  ...wireScenes,
];

describe('The API double answers as Kubernetes 1.36 did', { concurrency: 4 }, () => {
  for (const [scene, compared] of scenes) {
    const { leftOut = {} } = scene;
    const title = Object.entries(leftOut).map(([index, why]) => `without [${index}]: ${why}`);
    it([`in ${scene.file} (${compared} exchanges)`, ...title].join('; '), async () => {
      const result = await replay(scene);
      assert.equal(result.compared, compared);
    });
  }
});
