/** One change to one line that carries a claim, and the test that must notice it. */
export interface Mutant {
  /** What the line guarantees. */
  readonly claim: string;
  /** The changed file, relative to the project. */
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly from: string;
  readonly to: string;
  readonly test: {
    readonly file: string;
    /** The name of the test that must fail; `…` stands for what a template fills in. */
    readonly name: string;
  };
}

/** `from` replaced by `to`. Throws where `from` does not stand exactly once: the mutant has to be written anew. */
export function mutate(source: string, { file, from, to }: Pick<Mutant, 'file' | 'from' | 'to'>): string {
  const parts = source.split(from);
  if (parts.length !== 2 || from === to)
    throw new Error(`Cannot mutate ${file}: found ${parts.length - 1} times, expected once: ${JSON.stringify(from)}`);
  return parts.join(to);
}

/** The source of a regular expression for a test's name, with `filling` for each `…`. */
export function namePattern(name: string, filling: string): string {
  return name
    .split('…')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
    .join(filling);
}
