/** One scrape: values by series, as they stand in the text format (`name{a="b"}`). */
export type Scrape = ReadonlyMap<string, number>;

export function parseScrape(text: string): Scrape {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/**
 * Whether a rule's expression would be true for any series at any of these scrapes, with the scrapes as the range of
 * each range selector and without `for`: where this says no, Prometheus does not fire. Knows the forms that our rules
 * have, and throws for others.
 */
export function mightFire(expr: string, scrapes: readonly Scrape[]): boolean {
  const found = /^(.*) (>|==) ([\d.]+)$/.exec(expr);
  if (found === null) throw new Error(`Cannot evaluate ${expr}`);
  const [, left = '', operator, limit] = found;
  const values = valuesOf(left.replace(/^(?:max|sum)(?: by \([^)]*\))? ?\((.*)\)$/, '$1'), scrapes);
  // A sum over series that are all positive is at least as large as each, and at most as large as all together.
  const sum = /^sum/.test(left) ? [values.reduce((total, value) => total + value, 0)] : values;
  return sum.some((value) => (operator === '>' ? value > Number(limit) : value === Number(limit)));
}

function valuesOf(expr: string, scrapes: readonly Scrape[]): readonly number[] {
  const quantile = /^histogram_quantile\(([\d.]+), sum by \([^)]*\) \(rate\((\w+)_bucket\[\w+\]\)\)\)$/.exec(expr);
  if (quantile !== null) return quantileOf(Number(quantile[1]), `${quantile[2]}_bucket`, scrapes);
  const inner = /^(\w+)\((.*)\)$/.exec(expr);
  const series = seriesOf((inner?.[2] ?? expr).replace(/\[\w+\]$/, ''), scrapes);
  switch (inner?.[1]) {
    case undefined:
    case 'max_over_time':
      return series.flat();
    case 'min_over_time':
      return series.map((values) => Math.min(...values));
    case 'abs':
      return series.flat().map(Math.abs);
    case 'increase':
      return series.map((values) => (values.at(-1) ?? 0) - (values[0] ?? 0));
    default:
      throw new Error(`Cannot evaluate ${expr}`);
  }
}

/** Each matching series' values over time; one that appears later began at 0, as counters do. */
function seriesOf(selector: string, scrapes: readonly Scrape[]): readonly (readonly number[])[] {
  const found = /^(\w+)(?:\{(\w+)(=|!=|=~)"([^"]*)"\})?$/.exec(selector);
  if (found === null) throw new Error(`Cannot select ${selector}`);
  const [, name, label, operator, value] = found;
  const isMeant = (series: string) => {
    if (series !== name && !series.startsWith(`${name}{`)) return false;
    const own = new RegExp(`[{,]${label}="([^"]*)"`).exec(series)?.[1] ?? '';
    if (label === undefined) return true;
    if (operator === '=~') return new RegExp(`^(?:${value})$`).test(own);
    return (own === value) === (operator === '=');
  };
  const names = new Set(scrapes.flatMap((scrape) => [...scrape.keys()].filter(isMeant)));
  return [...names].map((series) => scrapes.map((scrape) => scrape.get(series) ?? 0));
}

/** The upper bound of the bucket in which the quantile lies: no less than what Prometheus interpolates. */
function quantileOf(quantile: number, name: string, scrapes: readonly Scrape[]): readonly number[] {
  const buckets = new Map<number, number>();
  const first = scrapes[0];
  for (const [series, value] of scrapes.at(-1) ?? []) {
    const bound = series.startsWith(`${name}{`) ? /[{,]le="([^"]*)"/.exec(series)?.[1] : undefined;
    if (bound === undefined) continue;
    const le = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
    buckets.set(le, (buckets.get(le) ?? 0) + value - (first?.get(series) ?? 0));
  }
  const total = buckets.get(Number.POSITIVE_INFINITY) ?? 0;
  if (total === 0) return [];
  const bounds = [...buckets].sort(([a], [b]) => a - b);
  return [bounds.find(([, count]) => count >= quantile * total)?.[0] ?? Number.POSITIVE_INFINITY];
}
