/** The pod an event is about. */
export interface PodName {
  namespace: string;
  pod: string;
  uid: string;
}

export interface ContainerName extends PodName {
  container: string;
}

/**
 * Everything that the kubelet reports. Its process writes each event to stdout as a JSON line that begins with `time`.
 */
export type KubeletEvent =
  | { event: 'kubelet-started'; node: string; root: string; leftoversKilled: number }
  | { event: 'kubelet-ended'; node: string; how: 'stopped' | 'taken' }
  | { event: 'node-registered'; node: string }
  | { event: 'api-unreachable' | 'api-reachable'; node: string; message: string }
  | ({ event: 'pod-seen' | 'pod-gone' } & PodName)
  | ({ event: 'pod-ending'; graceSeconds: number; why: 'deleted' | 'removed' | 'shutdown' } & PodName)
  | ({ event: 'pod-finished'; phase: string } & PodName)
  | ({ event: 'volumes-failed'; message: string } & PodName)
  | ({ event: 'container-started'; pid: number; restartCount: number } & ContainerName)
  | ({ event: 'container-failed'; message: string } & ContainerName)
  | ({ event: 'hook-started' | 'hook-ended'; ok?: boolean } & ContainerName)
  | ({ event: 'container-signalled'; signal: 'SIGTERM' } & ContainerName)
  | ({ event: 'container-killed'; why: 'grace-over' | 'taken' } & ContainerName)
  | ({
      event: 'container-exited';
      exitCode: number;
      signal: NodeJS.Signals | null;
      leftoversKilled: number;
      leftoversAlive: number;
    } & ContainerName)
  | ({ event: 'readiness'; ready: boolean } & ContainerName)
  | ({ event: 'log'; stream: 'stdout' | 'stderr'; line: string } & ContainerName)
  | ({ event: 'log-dropped'; lines: number } & ContainerName);

export type TellEvent = (event: KubeletEvent) => void;
