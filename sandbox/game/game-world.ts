/** The simulation: players walk around a square, one step per tick. */
export class GameWorld {
  readonly #name: string;
  readonly #startedAtMs: number;
  readonly #players: { x: number; y: number; heading: number }[];
  #tick = 0;

  constructor(name: string, players: number, nowMs: number) {
    this.#name = name;
    this.#startedAtMs = nowMs;
    this.#players = Array.from({ length: players }, (_, index) => ({ x: index, y: -index, heading: index }));
  }

  get tick(): number {
    return this.#tick;
  }

  step(): void {
    this.#tick += 1;
    for (const player of this.#players) {
      player.heading += Math.sin(this.#tick + player.x);
      player.x = clamp(player.x + Math.cos(player.heading));
      player.y = clamp(player.y + Math.sin(player.heading));
    }
  }

  /** The response to a state query. `clients` counts real UDP clients; `going` is the known deadline, RFC 3339. */
  describe(clients: number, going: string | null, nowMs: number): string {
    const players = this.#players.length + clients;
    const uptimeMs = nowMs - this.#startedAtMs;
    return JSON.stringify({ name: this.#name, players, tick: this.#tick, uptime_ms: uptimeMs, going });
  }

  save(): string {
    return JSON.stringify({ name: this.#name, tick: this.#tick, players: this.#players });
  }
}

const halfWidth = 1000;

function clamp(value: number): number {
  return Math.max(-halfWidth, Math.min(halfWidth, value));
}
