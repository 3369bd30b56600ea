import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../../sandbox/faults.ts';
import type { AgentProcess } from '../integration/agent/scene/agent-process.ts';
import { ClusterScene } from '../integration/agent/scene/cluster-scene.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { startHook } from '../integration/agent/scene/hook.ts';
import type { DrillEvent, DrillPod, FaultName, Schedule } from './schedule.ts';

export interface DrillResult {
  readonly seed: number;
  readonly pods: number;
  readonly demoEvents: string;
  /** From the notice until the last pod was gone. */
  readonly drainedMs: number | undefined;
  /** What was not as it should be; empty where all was well. */
  readonly problems: readonly string[];
}

const faultNamed: Readonly<Record<FaultName, Fault>> = {
  'status-500': { kind: 'status', status: 500 },
  'status-429': { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
  hang: { kind: 'hang' },
  reset: { kind: 'reset' },
  garbage: { kind: 'garbage' },
  delay: { kind: 'delay', delayMs: 700 },
  'foreign-404': foreign(404),
  'foreign-200': foreign(200),
  'foreign-403': foreign(403),
};

function foreign(status: number): Fault {
  return { kind: 'status', status, headers: { 'content-type': 'text/html' }, body: '<html>a proxy</html>' };
}

/** As long as an admission webhook may take. */
const slowWriteMs = 4000;
/** A pod that came so shortly before a report may have come after the list that the report rests on. */
const listAgeMs = 1500;

const safetyMarginMs = 2000;
/** An agent whose clock is wrong has the time from Date headers, which leave a second open. */
const skewedMarginMs = 3000;
const clockShift = new URL('shifted-clock.cjs', import.meta.url).pathname;
const agentEntry = new URL('../../agent/main.ts', import.meta.url).pathname;

/** Plays one schedule against a cluster of its own and says what was not as it should be. */
export async function runDrill(schedule: Schedule): Promise<DrillResult> {
  const directory = await mkdtemp(join(tmpdir(), 'drill-'));
  await using scene = await ClusterScene.start({ hasProxy: true });
  const untrue: string[] = [];
  // A report is taken for true when it arrives: the pods of that moment are those of the API server's own store.
  await using hook = await startHook(0, 0, ({ outcome }) => {
    if (outcome !== 'drained') return;
    for (const { metadata } of scene.pods)
      if (Date.now() - Date.parse(metadata.creationTimestamp) > listAgeMs)
        untrue.push(`drained was reported while ${metadata.name} was alive`);
  });
  try {
    const drill = new Drill(scene, schedule, { clockFile: join(directory, 'clock'), hookUrl: hook.url, untrue });
    await drill.play();
    return await drill.judge();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Surroundings {
  readonly clockFile: string;
  readonly hookUrl: string;
  /** What reports have said that was not so. */
  readonly untrue: readonly string[];
}

class Drill {
  readonly #scene: ClusterScene;
  readonly #schedule: Schedule;
  readonly #surroundings: Surroundings;
  #agent: AgentProcess | undefined;
  #noticeMs = 0;
  #deadlineMs = 0;
  #restarts: Promise<void> = Promise.resolve();

  constructor(scene: ClusterScene, schedule: Schedule, surroundings: Surroundings) {
    this.#scene = scene;
    this.#schedule = schedule;
    this.#surroundings = surroundings;
  }

  async play(): Promise<void> {
    const { pods, events, noticeMs } = this.#schedule;
    for (const pod of pods) this.#addPod(pod);
    await this.#startAgent(true);
    await Promise.all(this.#scene.wrappers.map((wrapper) => wrapper.hears('welcome')));
    const before = events.filter(({ atMs }) => atMs < 0);
    await Promise.all(before.map((event) => this.#make(event)));
    this.#noticeMs = Date.now();
    this.#deadlineMs = this.#scene.announceSpot(noticeMs);
    await Promise.all(
      events
        .filter(({ atMs }) => atMs >= 0)
        .map(async (event) => {
          await sleep(Math.max(0, this.#noticeMs + event.atMs - Date.now()));
          await this.#make(event);
        }),
    );
    const isOver = () => this.#scene.pods.length === 0 || Date.now() > this.#deadlineMs;
    await eventually('the drill is over', isOver, noticeMs + 10_000);
  }

  async judge(): Promise<DrillResult> {
    const { seed, pods, events, skewMs } = this.#schedule;
    const scene = this.#scene;
    const problems: string[] = [];
    const expect = async (what: string, holds: () => boolean | Promise<boolean>) => {
      await eventually(what, holds, 5000).catch(() => problems.push(what));
    };
    for (const { metadata } of scene.pods) problems.push(`${metadata.name} is left at the deadline`);
    await expect('the node is cordoned', () => scene.isCordoned && scene.mark?.['cordon_is_ours'] === true);
    await expect('the inventory knows of the interruption', async () =>
      (await scene.nodeStates()).includes('interrupted'),
    );
    await expect('the inventory knows that the node is drained', async () =>
      (await scene.nodeStates()).includes('drained'),
    );
    for (const wrapper of scene.wrappers)
      if (wrapper.all('interruption').length === 0) problems.push(`${wrapper.hello.pod} was not told`);
    if (scene.wrappers.some((wrapper) => wrapper.all('cancelled').length > 0))
      problems.push('a game was told of a reprieve');
    problems.push(...this.#wronglyKilled(), ...this.#surroundings.untrue);
    const last = Math.max(...scene.kubelet.endings.map(({ atMs }) => atMs));
    return {
      seed,
      pods: pods.length,
      demoEvents: [...(skewMs === 0 ? [] : [`skew ${skewMs / 1000} s`]), ...events.map(({ kind }) => kind)].join(' '),
      drainedMs: scene.pods.length === 0 ? last - this.#noticeMs : undefined,
      problems,
    };
  }

  /**
   * A pod that can end within its grace gets it: as long as it was there in time, and an agent was there to ask in
   * time.
   */
  #wronglyKilled(): string[] {
    const all = [
      ...this.#schedule.pods,
      ...this.#schedule.events.flatMap((event) => (event.kind === 'pod-appears' ? [event.pod] : [])),
    ];
    return this.#scene.kubelet.endings
      .filter(({ wasKilled }) => wasKilled)
      .flatMap(({ name }) => {
        const pod = all.find((candidate) => candidate.name === name);
        const isStubborn = (pod?.stopMs ?? 0) > 2000;
        return isStubborn ? [] : [`${name} was killed before it could end`];
      });
  }

  async #make(event: DrillEvent): Promise<void> {
    const { api, metadata, proxy } = this.#scene;
    switch (event.kind) {
      case 'metadata-fault':
      case 'api-fault': {
        const { faults } = event.kind === 'api-fault' ? api : metadata;
        const id = faults.add({ fault: faultNamed[event.fault], probability: 0.8 });
        await sleep(event.forMs);
        faults.remove(id);
        break;
      }
      case 'slow-writes': {
        const fault = { kind: 'delay', delayMs: slowWriteMs } as const;
        const ids = ['POST', 'PATCH', 'DELETE'].map((method) => api.faults.add({ method, fault }));
        await sleep(event.forMs);
        for (const id of ids) api.faults.remove(id);
        break;
      }
      case 'dead-connections':
        proxy.network.killExisting();
        break;
      case 'silence':
        proxy.network.silence();
        await sleep(event.forMs);
        proxy.network.restore();
        break;
      case 'frozen-log':
        this.#agent?.freezeLog(true);
        await sleep(event.forMs);
        this.#agent?.freezeLog(false);
        break;
      case 'kill-agent':
        // One after the other: two agents of one node are a fault that a DaemonSet does not make.
        this.#restarts = this.#restarts.then(() => this.#restartAgent());
        await this.#restarts;
        break;
      case 'budget-opens':
        this.#scene.unguard(event.pod);
        break;
      case 'pod-appears':
        this.#addPod(event.pod);
        break;
      case 'clock-jumps':
        await writeFile(this.#surroundings.clockFile, String(event.byMs));
        this.#agent?.signal('SIGUSR2');
        break;
    }
  }

  async #restartAgent(): Promise<void> {
    await this.#agent?.end();
    await this.#startAgent(false);
  }

  #addPod({ name, graceSeconds, stopMs, isGameServer, budget }: DrillPod): void {
    const pod = this.#scene.addPod(name, { graceSeconds, stopMs, isGameServer });
    if (budget !== 'none') this.#scene.guard(name);
    if (isGameServer) this.#scene.addWrapper(pod);
  }

  async #startAgent(isFirst: boolean): Promise<void> {
    const env = {
      SAFETY_MARGIN: `${this.#schedule.skewMs === 0 ? safetyMarginMs : skewedMarginMs}ms`,
      LINK_TRUST: 'pod',
      DRILL_CLOCK_FILE: this.#surroundings.clockFile,
      DRILL_CLOCK_SKEW: String(this.#schedule.skewMs),
      WEBHOOK_URL: this.#surroundings.hookUrl,
    };
    const command = ['--require', clockShift, agentEntry];
    this.#agent = isFirst
      ? await this.#scene.startReadyAgent(env, command)
      : await this.#scene.startAgent(env, command);
  }
}
