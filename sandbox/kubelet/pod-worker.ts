import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeClient } from '../kube-client/kube-client.ts';
import { PodVolumes } from './api/pod-volumes.ts';
import { findMounts, prepareVolumes } from './api/prepare-volumes.ts';
import { PodReporter } from './api/report-pod.ts';
import { ContainerLife } from './container-life.ts';
import type { ContainerName, PodName, TellEvent } from './kubelet-event.ts';
import {
  type BackoffLimits,
  type ContainerRecord,
  growBackoff,
  openRecord,
  type Terminated,
} from './pod/container-record.ts';
import type { PodPlace } from './pod/environment.ts';
import { effectiveGraceSeconds } from './pod/grace.ts';
import { isFinished, type Pod } from './pod/pod.ts';
import { type PodStep, planPod } from './pod/pod-plan.ts';
import { describeStatus, readPhase } from './pod/pod-status.ts';
import { type ContainerCommand, type Image, imageName, resolveCommand } from './pod/resolve-command.ts';
import type { Sweeper } from './process/sweep.ts';

/** In milliseconds. */
export interface DelayRange {
  readonly min: number;
  readonly max: number;
}

/** Shared by all pods of a kubelet. */
export interface PodHome {
  kube: KubeClient;
  place: PodPlace;
  root: string;
  /** Prefix of every container's marker, so that one sweep finds all containers of this kubelet. */
  markerPrefix: string;
  imageEnvironment: Readonly<Record<string, string>>;
  imageDirectory: string;
  hostRoot: string;
  images: Readonly<Record<string, Image>> | undefined;
  startDelayMs: number;
  backoff: BackoffLimits;
  podEndDelayMs: DelayRange;
  sweeper: Sweeper;
  tell: TellEvent;
  /** Ends all requests to the API server. */
  signal: AbortSignal;
}

/** runc's exit status if it cannot start a program. */
const startErrorExitCode = 128;
/** setTimeout fires at once beyond this limit. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * Brings one pod's processes in line with its spec, its deletion and the time. Any change (API event, exit, probe,
 * timer) updates the facts and plans again; `pod/pod-plan.ts` decides.
 */
export class PodWorker {
  readonly #home: PodHome;
  readonly #name: PodName;
  readonly #reporter: PodReporter;
  readonly #volumes: PodVolumes;
  readonly #init: ContainerRecord[];
  readonly #main: ContainerRecord[];
  readonly #lives: Map<ContainerRecord, ContainerLife> = new Map();
  readonly #starting: Set<ContainerRecord> = new Set();
  readonly #firstSeenMs: number = Date.now();
  readonly #gone: PromiseWithResolvers<void> = Promise.withResolvers();
  #pod: Pod;
  #ending: { graceSeconds: number } | undefined;
  #isFinished: boolean;
  /** Do not report the pod's end before this time. */
  #endShowsAtMs = 0;
  /** The API server no longer has the pod, or is no longer asked. */
  #isRemoved = false;
  #isCleaning = false;
  #wake: NodeJS.Timeout | undefined;

  constructor(pod: Pod, home: PodHome) {
    this.#pod = pod;
    this.#home = home;
    const { name, namespace, uid } = pod.metadata;
    this.#name = { namespace, pod: name, uid };
    this.#reporter = new PodReporter(home.kube, pod, home.signal);
    this.#volumes = new PodVolumes(
      (signal) => this.#prepareVolumes(signal),
      {
        prepared: () => this.#sync(),
        failed: (message) => home.tell({ event: 'volumes-failed', ...this.#name, message }),
      },
      home.signal,
    );
    this.#isFinished = isFinished(pod);
    const reported = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    const open = (spec: Pod['spec']['containers'][number]): ContainerRecord =>
      openRecord(
        spec,
        reported.find((status) => status.name === spec.name),
        this.#firstSeenMs,
      );
    this.#init = (pod.spec.initContainers ?? []).map(open);
    this.#main = pod.spec.containers.map(open);
    home.tell({ event: 'pod-seen', ...this.#name });
    this.update(pod);
  }

  /** Resolves when nothing of the pod is left here and the API server no longer has it. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  update(pod: Pod): void {
    this.#pod = pod;
    this.#reporter.saw(pod);
    if (pod.metadata.deletionTimestamp !== undefined) this.#end('deleted');
    this.#sync();
  }

  /** The API server no longer has the pod. Its processes still get their grace. */
  remove(pod: Pod = this.#pod): void {
    this.#pod = pod;
    this.#reporter.forget();
    this.#isRemoved = true;
    this.#end('removed');
    this.#sync();
  }

  /** The kubelet ends: every container gets the minimum grace, and no hook. */
  shutdown(): void {
    this.#isRemoved = true;
    for (const { now } of [...this.#init, ...this.#main]) if (now.state === 'running') now.hook = 'done';
    this.#end('shutdown');
    this.#sync();
  }

  /** SIGKILL to every main process, now. */
  take(): void {
    this.#isRemoved = true;
    this.#end('shutdown');
    clearTimeout(this.#wake);
    for (const [record, life] of this.#lives) this.#kill(record, life, 'taken');
    if (this.#lives.size === 0) this.#sync();
  }

  #end(why: 'deleted' | 'removed' | 'shutdown'): void {
    const before = this.#ending?.graceSeconds;
    const graceSeconds = why === 'shutdown' ? 0 : effectiveGraceSeconds(this.#pod, before);
    if (before !== undefined && graceSeconds >= before) return;
    this.#ending = { graceSeconds };
    if (!this.#isFinished) this.#home.tell({ event: 'pod-ending', ...this.#name, graceSeconds, why });
  }

  #sync(): void {
    if (this.#isCleaning) return;
    const nowMs = Date.now();
    const { steps, wakeAtMs } = planPod(
      {
        spec: this.#pod.spec,
        init: this.#init,
        main: this.#main,
        ending: this.#ending,
        finished: this.#isFinished,
        volumesReady: this.#volumes.directories !== undefined,
        startAtMs: this.#firstSeenMs + this.#home.startDelayMs,
      },
      nowMs,
      this.#home.backoff,
    );
    for (const step of steps) this.#act(step, nowMs);
    if (!this.#isFinished && this.#ending === undefined) this.#volumes.ensure(nowMs);
    this.#report(nowMs);
    clearTimeout(this.#wake);
    const wakes = this.#isFinished ? [] : [wakeAtMs, this.#volumes.refreshAtMs].filter((atMs) => atMs !== undefined);
    if (this.#endShowsAtMs > nowMs && !this.#isRemoved) wakes.push(this.#endShowsAtMs);
    if (wakes.length === 0) return;
    const inMs = Math.min(Math.max(Math.min(...wakes) - nowMs, 1), maxTimerMs);
    this.#wake = setTimeout(() => this.#sync(), inMs);
  }

  #act(step: PodStep, nowMs: number): void {
    switch (step.kind) {
      case 'prepare-volumes':
        this.#volumes.ensure(nowMs);
        break;
      case 'start':
        this.#start(step.container, step.endedBefore, nowMs);
        break;
      case 'back-off': {
        const { namespace, pod, uid } = this.#name;
        const { container, ended, delayMs } = step;
        const message = `back-off ${delayMs / 1000}s restarting failed container=${container.spec.name} pod=${pod}_${namespace}(${uid})`;
        container.last = ended;
        container.now = { state: 'waiting', reason: 'CrashLoopBackOff', message };
        break;
      }
      case 'stopping':
        this.#stop(step);
        break;
      case 'finished':
        // A start or an exit under way plans again when it finishes.
        if (this.#starting.size > 0 || this.#lives.size > 0 || this.#isFinished) return;
        this.#isFinished = true;
        this.#endShowsAtMs = nowMs + pick(this.#home.podEndDelayMs);
        this.#home.tell({ event: 'pod-finished', ...this.#name, phase: readPhase(this.#facts()) });
    }
  }

  #start(record: ContainerRecord, endedBefore: Terminated | undefined, nowMs: number): void {
    if (this.#starting.has(record) || this.#lives.has(record)) return;
    if (endedBefore !== undefined) {
      record.backoff = growBackoff(record, endedBefore, nowMs, this.#home.backoff);
      record.last = endedBefore;
      record.restartCount += 1;
    }
    const id = randomUUID().replaceAll('-', '');
    const image = this.#findImage(record);
    if (image === undefined) {
      const message = `Cannot pull image ${record.spec.image}: it is not here`;
      record.now = { state: 'waiting', reason: 'ErrImagePull', message };
      this.#tellFailure(record, message);
      return;
    }
    let command: ContainerCommand;
    try {
      command = this.#resolve(record, image, id);
    } catch (error) {
      record.now = { state: 'waiting', reason: 'CreateContainerConfigError', message: sayError(error) };
      this.#tellFailure(record, error);
      return;
    }
    this.#starting.add(record);
    void this.#run(record, id, command);
  }

  #findImage({ spec }: ContainerRecord): Image | undefined {
    const { images } = this.#home;
    return images === undefined ? {} : images[imageName(spec.image ?? '')];
  }

  #resolve(record: ContainerRecord, image: Image, id: string): ContainerCommand {
    const { place, imageEnvironment, imageDirectory, markerPrefix } = this.#home;
    const mounts = findMounts(record.spec, this.#volumes.directories ?? new Map());
    const marker = markerPrefix + id;
    const own = { pod: this.#pod, place, marker, image, mounts };
    return resolveCommand(record.spec, { ...own, imageEnvironment, imageDirectory });
  }

  /** One life of a container, from before its start until all its processes have ended. */
  async #run(record: ContainerRecord, id: string, command: ContainerCommand): Promise<void> {
    const name: ContainerName = { ...this.#name, container: record.spec.name };
    const { tell, root, place, sweeper } = this.#home;
    const { namespace, pod, uid } = this.#name;
    const logDirectory = join(root, 'logs', `${namespace}_${pod}_${uid}`);
    try {
      await mkdir(logDirectory, { recursive: true });
      const life = await ContainerLife.start(record, command, {
        name,
        address: place.address,
        logDirectory,
        sweeper,
        tell,
      });
      this.#lives.set(record, life);
      this.#starting.delete(record);
      const { readinessProbe, lifecycle } = record.spec;
      record.now = {
        state: 'running',
        id,
        startedAtMs: Date.now(),
        ready: readinessProbe === undefined,
        stopping: undefined,
        hook: lifecycle?.preStop === undefined ? 'none' : 'pending',
      };
      tell({ event: 'container-started', ...name, pid: life.pid, restartCount: record.restartCount });
      life.watchReadiness((ready) => this.#setReady(record, ready));
      this.#sync();
      const { finishedAtMs, ...end } = await life.ended;
      const startedAtMs = record.now.state === 'running' ? record.now.startedAtMs : undefined;
      const reason = end.exitCode === 0 ? 'Completed' : 'Error';
      record.now = { state: 'terminated', id, exitCode: end.exitCode, reason, startedAtMs, finishedAtMs };
      tell({ event: 'container-exited', ...name, ...end });
    } catch (error) {
      const failed = { id, exitCode: startErrorExitCode, reason: 'StartError', message: sayError(error) };
      record.now = { state: 'terminated', ...failed, startedAtMs: undefined, finishedAtMs: Date.now() };
      this.#tellFailure(record, error);
    } finally {
      this.#starting.delete(record);
      this.#lives.delete(record);
      this.#sync();
    }
  }

  #setReady(record: ContainerRecord, ready: boolean): void {
    if (record.now.state !== 'running') return;
    record.now.ready = ready;
    this.#home.tell({ event: 'readiness', ...this.#name, container: record.spec.name, ready });
    this.#sync();
  }

  #stop({ container: record, stopping, act }: Extract<PodStep, { kind: 'stopping' }>): void {
    const life = this.#lives.get(record);
    if (record.now.state !== 'running' || life === undefined) return;
    record.now.stopping = stopping;
    const name: ContainerName = { ...this.#name, container: record.spec.name };
    switch (act) {
      case 'wait':
        break;
      case 'run-hook':
        this.#home.tell({ event: 'hook-started', ...name });
        void this.#runHook(record, life, stopping.graceSeconds * 1000);
        break;
      case 'terminate':
        this.#home.tell({ event: 'container-signalled', ...name, signal: 'SIGTERM' });
        life.terminate();
        break;
      case 'kill':
        this.#kill(record, life, 'grace-over');
    }
  }

  async #runHook(record: ContainerRecord, life: ContainerLife, limitMs: number): Promise<void> {
    const ok = await life.runHook(limitMs);
    this.#home.tell({ event: 'hook-ended', ...this.#name, container: record.spec.name, ok });
    if (record.now.state === 'running') record.now.hook = 'done';
    this.#sync();
  }

  #kill(record: ContainerRecord, life: ContainerLife, why: 'grace-over' | 'taken'): void {
    this.#home.tell({ event: 'container-killed', ...this.#name, container: record.spec.name, why });
    life.kill();
  }

  #tellFailure(record: ContainerRecord, error: unknown): void {
    const name: ContainerName = { ...this.#name, container: record.spec.name };
    this.#home.tell({ event: 'container-failed', ...name, message: sayError(error) });
  }

  #prepareVolumes(signal: AbortSignal): ReturnType<typeof prepareVolumes> {
    const directory = join(this.#podDirectory(), 'volumes');
    const { kube, hostRoot, place } = this.#home;
    return prepareVolumes(kube, this.#pod, { directory, hostRoot, place, signal });
  }

  #podDirectory(): string {
    return join(this.#home.root, 'pods', this.#name.uid);
  }

  #facts(): Parameters<typeof describeStatus>[0] {
    return {
      pod: this.#pod,
      init: this.#init,
      main: this.#main,
      finished: this.#isFinished,
      volumesReady: this.#volumes.directories !== undefined,
      firstSeenMs: this.#firstSeenMs,
      before: this.#reporter.conditions,
    };
  }

  #report(nowMs: number): void {
    if (!this.#isRemoved) {
      if (nowMs < this.#endShowsAtMs) return;
      if (!isFinished(this.#pod)) this.#reporter.report(describeStatus(this.#facts(), this.#home.place, nowMs));
      if (this.#isFinished && this.#ending !== undefined) this.#reporter.confirm();
    } else if (this.#isFinished) {
      this.#isCleaning = true;
      clearTimeout(this.#wake);
      void this.#clean();
    }
  }

  async #clean(): Promise<void> {
    await this.#volumes.stop();
    await rm(this.#podDirectory(), { recursive: true, force: true });
    this.#home.tell({ event: 'pod-gone', ...this.#name });
    this.#gone.resolve();
  }
}

function pick({ min, max }: DelayRange): number {
  return min + Math.random() * (max - min);
}

function sayError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
