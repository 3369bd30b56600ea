/** SQS takes message groups of at most 128 characters, and the event's id has more in it than this one. */
const maxNameCharacters = 90;
const randomCharacters = 6;

/** The pod's name, and something that a restarted container does not share: it is a new game server. */
export function nameGameServer(host: string, random: () => number): string {
  const name = host.replace(/[^\w.:-]/g, '-').slice(0, maxNameCharacters);
  const unique = Math.floor(random() * 36 ** randomCharacters).toString(36);
  return `${name}.${unique.padStart(randomCharacters, '0')}`;
}
