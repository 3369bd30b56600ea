import { expand, type PodPlace, readEnvironment } from './environment.ts';
import { type MountedPath, rewritePaths } from './mount-path.ts';
import type { Container, Pod } from './pod.ts';

/** What runs in a container, resolved: nothing in it is a placeholder any more. */
export interface ContainerCommand {
  /** Unique among all containers of this machine. */
  marker: string;
  file: string;
  args: readonly string[];
  directory: string;
  environment: ReadonlyMap<string, string>;
}

export interface CommandContext {
  pod: Pod;
  place: PodPlace;
  marker: string;
  /** What the image would bring: environment and working directory. */
  imageEnvironment: Readonly<Record<string, string>>;
  imageDirectory: string;
  mounts: readonly MountedPath[];
}

/** @throws Error where the container asks for something this kubelet does not have */
export function resolveCommand(container: Container, context: CommandContext): ContainerCommand {
  const { pod, place, marker, imageEnvironment, imageDirectory, mounts } = context;
  const environment = readEnvironment(container, pod, place, imageEnvironment);
  const words = [...(container.command ?? []), ...(container.args ?? [])];
  const [file, ...args] = words.map((word) => rewritePaths(expand(word, environment), mounts));
  if (container.command === undefined || file === undefined) {
    throw new Error('no command specified: images are not run here, the pod has to name its command');
  }
  const rewritten = new Map<string, string>();
  for (const [name, value] of environment) rewritten.set(name, rewritePaths(value, mounts));
  const directory = rewritePaths(container.workingDir ?? imageDirectory, mounts);
  return { marker, file, args, directory, environment: rewritten };
}
