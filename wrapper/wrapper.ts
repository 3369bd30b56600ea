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
  /** It ended because it was unhealthy, and is to start again as a new game server. */
  readonly restarts: boolean;
  /** Resolves when nothing that it has started is left. */
  left(): Promise<void>;
}

/**
 * The agent is on the same machine: where there is none the connection is refused at once, and one that is there
 * answers in a millisecond or two. On a node whose cores are all busy it takes longer, and there a game that starts in
 * vain hurts most: after an interruption whose pods could not be deleted the kubelet starts all of a node's containers
 * again at the same time. Only an agent that hangs costs all of it.
 */
const welcomeLimitMs = 5000;

/** One game server's life, from its ports to its last event. Throws a FatalError where it cannot begin. */
export async function serveGame(
  config: WrapperConfig,
  command: readonly string[],
  context: WrapperContext,
): Promise<GameServerEnd> {
  const lifeEvents = new LifeEvents();
  const over = new AbortController();
  const agent = new AgentSide({ config, lifeEvents, context });
  try {
    // First, so that its answer comes while there is other work to do.
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
  // What does not need the agent's answer is done while it is on its way.
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
      // A clock that somebody sets back gives the game no time that the kubelet does not give it.
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
  /** From now on nobody acts on signals any more: aborts when somebody presses, by SIGINT or a second SIGTERM. */
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
    // The first SIGTERM may be the kubelet's, which follows from what we know already.
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
