import type { SettingsFor } from '../../shared/settings/read-settings.ts';
import { duration, integer, optional, type Parse, setting, toggle } from '../../shared/settings/setting.ts';
import { splitCommand } from './split-command.ts';

export interface DemoConfig {
  readonly gameServers: number;
  readonly noticeMs: number;
  readonly seed: number;
  readonly apiDown: boolean;
  /** A rehearsal of this length replaces the spot notice. */
  readonly rehearseMs: number | undefined;
  readonly page: boolean;
  readonly fanout: boolean;
  readonly sdk: boolean;
  readonly game: readonly string[] | undefined;
  readonly keep: boolean;
  readonly json: boolean;
}

const command: Parse<readonly string[]> = (text) => {
  const words = splitCommand(text);
  return words === undefined || words.length === 0
    ? { expected: 'a command line with its quotes closed' }
    : { value: words };
};

export const demoSettings: SettingsFor<DemoConfig> = {
  gameServers: setting(
    { flag: 'game-servers', placeholder: 'N', help: 'how many game servers run on the node that is taken' },
    integer(1, 100),
    4,
  ),
  noticeMs: setting(
    { flag: 'notice', placeholder: 'DURATION', help: 'how long before the end EC2 says so; two minutes in real life' },
    duration({ minMs: 12_000, maxMs: 300_000 }),
    30_000,
    '30s',
  ),
  seed: setting(
    { flag: 'seed', placeholder: 'N', help: 'what is random in the games follows from it' },
    integer(0, 2 ** 31),
    1,
  ),
  apiDown: toggle({ flag: 'api-down', help: 'the Kubernetes API is out of reach from the notice on' }),
  rehearseMs: optional(
    {
      flag: 'rehearse',
      placeholder: 'DURATION',
      help: 'no notice: the node is annotated to rehearse one with so much time',
    },
    duration({ minMs: 12_000, maxMs: 300_000 }),
  ),
  page: toggle({ flag: 'page', help: 'serve the live page of the inventory while the demo runs' }),
  fanout: toggle({
    flag: 'fanout',
    help: 'players stay connected through the fan-out proxy while their node is taken',
  }),
  sdk: toggle({ flag: 'sdk', help: "two of the games speak Agones' SDK, and one of them is in the middle of a match" }),
  game: optional(
    {
      flag: 'game',
      placeholder: 'COMMAND',
      help: 'run this game server instead of the sample; {SERVER_PORT} stands for its port',
    },
    command,
  ),
  keep: toggle({ flag: 'keep', help: 'leave everything running at the end, until Ctrl-C' }),
  json: toggle({ flag: 'json', help: 'print the summary as one JSON object on the last line' }),
};
