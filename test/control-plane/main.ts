import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { provideBinary } from './binary.ts';
import { startControlPlane } from './control-plane.ts';

const usage = `Usage: npm run control-plane -- [--verbose]

A Kubernetes control plane on this machine: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, on a free
port of 127.0.0.1, without nodes. Prints the path of an administrator's kubeconfig on stdout once it is ready:

  KUBECONFIG=PATH kubectl get namespaces

Its folder holds the kubeconfig, the audit log of every request (audit.log) and etcd's data. Ctrl-C ends it and removes
all of that, as does the end of this process in any other way.

The program is built from Go modules at the first use, which needs Go and takes minutes, and kept in
$XDG_CACHE_HOME/spotable/control-plane (~/.cache/spotable/control-plane).

A node for it, which runs pods as processes: node sandbox/kubelet/main.ts --help

  --build    only build the program, and print its path
  --verbose  what the components log, on stderr
  --help

Exit: 0 after Ctrl-C, 64 for wrong flags, 69 without Go or its modules, 70 when a component ends.
`;

/** sysexits */
const exUsage = 64;
const exUnavailable = 69;
const exSoftware = 70;

const say = (line: string) => process.stderr.write(`control-plane: ${line}\n`);

function readFlags() {
  const options = { build: { type: 'boolean' }, verbose: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    say((error as Error).message);
    return undefined;
  }
}

async function main(): Promise<number> {
  const flags = readFlags();
  if (flags === undefined) return exUsage;
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const binary = await provideBinary(say);
  if (binary.kind === 'unavailable') {
    say(binary.reason);
    return exUnavailable;
  }
  if (flags.build) {
    process.stdout.write(`${binary.path}\n`);
    return 0;
  }
  const stop = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)));
  const onLog = (component: string, line: string) => process.stderr.write(`${component}: ${line}\n`);
  await using controlPlane = await startControlPlane({ binary: binary.path, ...(flags.verbose && { onLog }) });
  process.stdout.write(`${controlPlane.kubeconfig}\n`);
  say(`ready at ${controlPlane.url}; Ctrl-C ends it`);
  await Promise.race([stop, controlPlane.broken]);
  return 0;
}

// Ctrl-C during the start also ends the components: each of them ends with this process.
process.exitCode = await main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  return exSoftware;
});
