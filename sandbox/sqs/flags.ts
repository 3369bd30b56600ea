import { parseArgs } from 'node:util';
import { isQueueName } from './sqs-protocol.ts';

export type QueueFlags =
  | { kind: 'help' }
  | { kind: 'problem'; message: string }
  | { kind: 'run'; port: number; queueNames: string[]; exitsWithParent: boolean };

export const queueHelp: string = `Usage: node sandbox/sqs/main.ts [FLAG...]

Amazon SQS on 127.0.0.1, with its queues in memory.

  --queue NAME        a queue that is there from the start (repeatable); NAME.fifo makes a FIFO queue
  --port PORT         port to listen on (default: a free one)
  --exit-with-parent  end when standard input closes
  --help              show this text

While it runs:
  GET|POST|DELETE /sandbox/faults[/ID]   how requests fail; a rule's path is held against /?Action=SendMessage

Ends on SIGTERM and SIGINT. Exit status: 0; 64 for a bad flag; 69 when the port cannot be had.
`;

const flags = {
  queue: { type: 'string', multiple: true },
  port: { type: 'string' },
  'exit-with-parent': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Parses the command line. Never throws: an error is returned as one line. */
export function parseQueueFlags(argv: readonly string[]): QueueFlags {
  try {
    const { values } = parseArgs({ args: [...argv], options: flags });
    if (values.help) return { kind: 'help' };
    const { queue: queueNames = [], port = '0', 'exit-with-parent': exitsWithParent = false } = values;
    const badName = queueNames.find((name) => !isQueueName(name));
    if (badName !== undefined) return problem(`Bad --queue ${JSON.stringify(badName)}: expected a queue name`);
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
      return problem(`Bad --port ${JSON.stringify(port)}: expected 0 to 65535`);
    }
    return { kind: 'run', port: Number(port), queueNames, exitsWithParent };
  } catch (error) {
    // Node appends advice about positional arguments, which this command does not accept.
    const [sentence = ''] = String(error instanceof Error ? error.message : error).split(/\. |\n/);
    return problem(sentence);
  }
}

function problem(message: string): QueueFlags {
  return { kind: 'problem', message: `${message} (see --help)` };
}
