import type { Container, Pod, PodSpec } from '../../../../sandbox/kubelet/pod/pod.ts';

/** A pod of one container, with what a test changes laid over it. */
export function makePod(metadata: Partial<Pod['metadata']> = {}, spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { name: 'gs-7', namespace: 'arena', uid: 'u-1', generation: 1, ...metadata },
    spec: { containers: [makeContainer('game')], ...spec },
  };
}

export function makeContainer(name: string, more: Partial<Container> = {}): Container {
  return { name, command: ['game'], ...more };
}
