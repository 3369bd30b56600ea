import { expand, type PodPlace, readEnvironment } from './environment.ts';
import { type MountedPath, rewritePaths } from './mount-path.ts';
import type { Container, Pod } from './pod.ts';

/** A container's command, with every placeholder resolved. */
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
  /** Every image would bring this environment and working directory. */
  imageEnvironment: Readonly<Record<string, string>>;
  imageDirectory: string;
  mounts: readonly MountedPath[];
}

/** This machine's replacement for an image. */
export interface Image {
  /** The default command. */
  command?: readonly string[];
  /** Directories that replace paths in the command. */
  paths?: Readonly<Record<string, string>>;
}

/** `REGISTRY/PATH/NAME` without a tag or digest. */
export function imageName(reference: string): string {
  return reference.replace(/[:@][^/]*$/, '');
}

/** @throws Error if the container asks for something that this kubelet does not support */
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
