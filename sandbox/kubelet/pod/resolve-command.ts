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
  image: Image;
  /** What every image would bring: environment and working directory. */
  imageEnvironment: Readonly<Record<string, string>>;
  imageDirectory: string;
  mounts: readonly MountedPath[];
}

/** What this machine has in the place of an image. */
export interface Image {
  /** What runs where the container names no command. */
  command?: readonly string[];
  /** Directories that stand in for paths in it. */
  paths?: Readonly<Record<string, string>>;
}

/** The name in `REGISTRY/PATH/NAME:TAG`. */
export function imageName(reference: string): string {
  return reference.replace(/[:@][^/]*$/, '').replace(/^.*\//, '');
}

/** @throws Error where the container asks for something this kubelet does not have */
export function resolveCommand(container: Container, context: CommandContext): ContainerCommand {
  const { pod, place, marker, image, imageEnvironment, imageDirectory } = context;
  const paths = Object.entries(image.paths ?? {}).map(([mountPath, directory]) => ({ mountPath, directory }));
  const mounts = [...context.mounts, ...paths];
  const environment = readEnvironment(container, pod, place, imageEnvironment);
  const words = [...(container.command ?? image.command ?? []), ...(container.args ?? [])];
  const [file, ...args] = words.map((word) => rewritePaths(expand(word, environment), mounts));
  if (file === undefined || (container.command ?? image.command) === undefined) {
    throw new Error('no command specified: images are not run here, the pod has to name its command');
  }
  const rewritten = new Map<string, string>();
  for (const [name, value] of environment) rewritten.set(name, rewritePaths(value, mounts));
  const directory = container.workingDir === undefined ? imageDirectory : rewritePaths(container.workingDir, mounts);
  return { marker, file, args, directory, environment: rewritten };
}
