/** Whether two values parsed from JSON are equal. isDeepStrictEqual takes several times as long, for every event. */
export function isSameJson(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  let left = 0;
  for (const key in one) {
    if (!Object.hasOwn(other, key) || !isSameJson(one[key as never], other[key as never])) return false;
    left++;
  }
  for (const _ in other) left--;
  return left === 0;
}
