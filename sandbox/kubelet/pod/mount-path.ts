/** A mountPath and the directory that stands in for it. */
export interface MountedPath {
  mountPath: string;
  directory: string;
}

/**
 * Nothing can be mounted without root, so what a container is told (arguments, environment, working directory) names
 * the directory itself. A path counts where it stands alone, after `=`, `:`, `,` or a quote (`--template SRC:DST`,
 * `file:PATH`), and ends there, at a `/`, or at one of those separators.
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
