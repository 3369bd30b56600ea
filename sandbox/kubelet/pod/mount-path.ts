/** A mountPath and the directory used in its place. */
export interface MountedPath {
  mountPath: string;
  directory: string;
}

/**
 * Mounting needs root, so replace the path by the directory in the container's arguments, environment and working
 * directory. A path counts only if it is the whole text or follows `=`, `:`, `,` or a quote (`--template SRC:DST`,
 * `file:PATH`), and if it ends there, at a `/`, or at one of those separators.
 */
export function rewritePaths(text: string, mounts: readonly MountedPath[]): string {
  if (mounts.length === 0) return text;
  const longestFirst = mounts.map(withoutSlash).sort((a, b) => b.mountPath.length - a.mountPath.length);
  const directories = new Map(longestFirst.map(({ mountPath, directory }) => [mountPath, directory]));
  const paths = longestFirst.map(({ mountPath }) => escapeForRegExp(mountPath)).join('|');
  return text.replaceAll(
    new RegExp(`(?<=^|[=:,'"])(?:${paths})(?=$|[/=:,'"])`, 'g'),
    (path) => directories.get(path) ?? path,
  );
}

function withoutSlash({ mountPath, directory }: MountedPath): MountedPath {
  return { mountPath: mountPath.replace(/(?<=.)\/+$/, ''), directory };
}

function escapeForRegExp(text: string): string {
  return text.replaceAll(/[\^$.*+?()[\]{}|/-]/g, '\\$&');
}
