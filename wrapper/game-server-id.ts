/** SQS limits message groups to 128 characters, and the event's id is longer than this name. */
const maxNameCharacters = 90;
const randomCharacters = 6;

/** The pod's name plus a random part: a restarted container is a new game server and needs a new name. */
export function nameGameServer(host: string, random: () => number): string {
  const name = host.replace(/[^\w.:-]/g, '-').slice(0, maxNameCharacters);
  const unique = Math.floor(random() * 36 ** randomCharacters).toString(36);
  return `${name}.${unique.padStart(randomCharacters, '0')}`;
}
