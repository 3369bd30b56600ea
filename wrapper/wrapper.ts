import { steadyClock } from '../shared/steady-clock.ts';
import { GameServer, type GameServerOptions } from './game-server.ts';
import { LifeEvents } from './life/life-events.ts';
import { advance, initialLife, type Life, type LifeRules, nextMoveMs } from './life/lifecycle.ts';
import { AgentSide } from './link/agent-side.ts';
import { abstractLeases } from './ports/abstract-leases.ts';
import { leaseDirectory } from './ports/lease-directory.ts';
import { type LeasedPorts, leasePorts } from './ports/lease-ports.ts';
import { probePort } from './ports/probe-port.ts';
import type { WrapperConfig } from './settings/config.ts';
import type { WrapperContext } from './wrapper-context.ts';

export interface GameServerEnd {
  readonly life: Extract<Life, { phase: 'ended' }>;
  /** The game server ended because it was unhealthy, and is to start again as a new one. */
  readonly restarts: boolean;
  /** Resolves when every process that it started has ended. */
  left(): Promise<void>;
}

/**
 * The agent is on the same machine: without one the connection is refused at once, and a running one answers in a
 * millisecond or two. It takes longer on a node whose cores are all busy, and there a needless game start hurts most:
 * after an interruption whose pods could not be deleted the kubelet starts all of a node's containers again at the same
 * time. Only an agent that hangs uses up the whole limit.
 */
const welcomeLimitMs = 5000;

/** One game server's life, from its ports to its last event. Throws a FatalError if it cannot begin. */
export async function serveGame(
  config: WrapperConfig,
  command: readonly string[],
  context: WrapperContext,
): Promise<GameServerEnd> {
  const lifeEvents = new LifeEvents();
  const over = new AbortController();
  const agent = new AgentSide({ config, lifeEvents, context });
  try {
    // Connect first, so that the answer arrives while there is other work to do.
    await agent.connect(over.signal);
    const leased = await lease(config, context.random);
    try {
      const { ports } = leased;
      return await live({ config, command, ports, agent, lifeEvents, context, signal: over.signal });
    } finally {
      await leased.release();
    }
  } finally {
    over.abort();
  }
}

function lease(config: WrapperConfig, random: () => number): Promise<LeasedPorts> {
  const leases = config.leaseDir === undefined ? abstractLeases : leaseDirectory(config.leaseDir, random);
  return leasePorts({ requests: config.ports, range: config.portRange, leases, probe: probePort, random });
}

async function live(options: GameServerOptions): Promise<GameServerEnd> {
  const { config, ports, agent, lifeEvents, context } = options;
  const rules: LifeRules = { ...config, stopLeadMs: config.stopAtMs };
  // Do whatever needs no answer from the agent while that answer is on its way.
  const answered = agent.join(ports, welcomeLimitMs);
  const signals = watchSignals(options);
  context.log.info({ ports: Object.fromEntries(ports.map(({ name, port }) => [name, port])) }, 'Ports leased');
  const gameServer = new GameServer(options);
  try {
    await Promise.race([answered, signals.toEnd]);
    lifeEvents.push({ kind: 'prepared' });
    let life: Life = initialLife;
    let { clock } = context;
    while (life.phase !== 'ended') {
      const lifeEvent = await lifeEvents.next(nextMoveMs(life, rules), clock);
      const step = advance(life, lifeEvent, rules, clock.now());
      // If the clock is set back, the game still gets no more time than the kubelet gives it.
      if (step.life.phase !== life.phase)
        clock = step.life.phase === 'ending' ? steadyClock(context.clock, context.upMs) : context.clock;
      life = step.life;
      for (const effect of step.effects) await gameServer.perform(effect, life);
    }
    await gameServer.finish(life, signals.hurry());
    const restarts = config.whenUnhealthy === 'restart' && life.reason === 'unhealthy';
    return { life, restarts, left: () => gameServer.left() };
  } finally {
    gameServer.close();
  }
}

interface SignalWatch {
  /** Resolves with the first signal to end. */
  readonly toEnd: Promise<void>;
  /** Stops acting on signals. The returned signal aborts on SIGINT or a second SIGTERM. */
  hurry(): AbortSignal;
}

function watchSignals({ context, lifeEvents }: GameServerOptions): SignalWatch {
  const toEnd = Promise.withResolvers<void>();
  const pressing = new AbortController();
  let isOver = false;
  let lateSigterms = 0;
  context.onSignal((signal) => {
    lifeEvents.push({ kind: 'signal', signal });
    if (signal === 'SIGTERM' || signal === 'SIGINT') toEnd.resolve();
    // The first SIGTERM may be the kubelet's, which follows from an end that we already know.
    if (isOver && signal === 'SIGTERM') lateSigterms++;
    if (isOver && (signal === 'SIGINT' || lateSigterms > 1)) pressing.abort();
  });
  return {
    toEnd: toEnd.promise,
    hurry: () => {
      isOver = true;
      return pressing.signal;
    },
  };
}
