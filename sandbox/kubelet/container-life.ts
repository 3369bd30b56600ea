import { join } from 'node:path';
import type { ContainerName, TellEvent } from './kubelet-event.ts';
import type { ContainerRecord } from './pod/container-record.ts';
import type { ContainerCommand } from './pod/resolve-command.ts';
import { ContainerLog } from './process/container-log.ts';
import { type ContainerEnd, type ContainerProcess, startContainer } from './process/container-process.ts';
import { probeReadiness } from './process/probe-readiness.ts';
import { runAction } from './process/run-action.ts';
import type { Sweeper } from './process/sweep.ts';

export interface LifeContext {
  name: ContainerName;
  address: string;
  logDirectory: string;
  sweeper: Sweeper;
  tell: TellEvent;
}

/** One run of a container, from its start until all its processes have ended: its process, log, probes and hook. */
export class ContainerLife {
  readonly #process: ContainerProcess;
  readonly #command: ContainerCommand;
  readonly #record: ContainerRecord;
  readonly #context: LifeContext;
  readonly #over: AbortController = new AbortController();
  readonly ended: Promise<ContainerEnd>;

  /** @throws Error if the program cannot be started */
  static async start(record: ContainerRecord, command: ContainerCommand, context: LifeContext): Promise<ContainerLife> {
    const { name, tell } = context;
    const log = new ContainerLog(join(context.logDirectory, `${record.spec.name}.log`));
    try {
      const started = await startContainer(command, context.sweeper, (stream, line) => {
        log.write(line);
        tell({ event: 'log', ...name, stream, line });
      });
      return new ContainerLife(record, command, context, { process: started, log });
    } catch (error) {
      log.close();
      throw error;
    }
  }

  private constructor(
    record: ContainerRecord,
    command: ContainerCommand,
    context: LifeContext,
    started: { process: ContainerProcess; log: ContainerLog },
  ) {
    this.#process = started.process;
    this.#command = command;
    this.#record = record;
    this.#context = context;
    this.ended = started.process.ended.finally(() => {
      this.#over.abort();
      const lines = started.log.takeDropped();
      if (lines > 0) context.tell({ event: 'log-dropped', ...context.name, lines });
      started.log.close();
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  terminate(): void {
    this.#process.terminate();
  }

  kill(): void {
    this.#process.kill();
  }

  /** Reports each change of readiness until the container ends. */
  watchReadiness(tellReady: (ready: boolean) => void): void {
    const probe = this.#record.spec.readinessProbe;
    if (probe !== undefined) void probeReadiness(probe, this.#place(), { tellReady, signal: this.#over.signal });
  }

  /** Runs the preStop hook until the hook or the container ends, or `limitMs` have passed. */
  async runHook(limitMs: number): Promise<boolean> {
    const hook = this.#record.spec.lifecycle?.preStop;
    if (hook === undefined) return true;
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(limitMs)]);
    return runAction(hook, this.#place(), signal);
  }

  #place(): { container: ContainerRecord['spec']; command: ContainerCommand; address: string } {
    return { container: this.#record.spec, command: this.#command, address: this.#context.address };
  }
}
