// promptLookup(ids, ngram, count): what followed the last time that the text held its last ids; the longest of `ngram` ids and
// fewer that is found decides, and among its places the last one with `count` ids behind it.
export function promptLookup(ids: readonly number[], ngram: number, count: number): readonly number[] {
  for (let n = Math.min(ngram, ids.length - 1); n > 0; n--) {
    let short: readonly number[] = [];
    for (let at = ids.length - n - 1; at >= 0; at--) {
      if (!matches(ids, at, n)) continue;
      const found = ids.slice(at + n, at + n + count);
      if (found.length === count) return found;
      short = found;
    }
    if (short.length > 0) return short;
  }
  return [];
}

/** Whether the n ids from `at` are the last n. */
function matches(ids: readonly number[], at: number, n: number): boolean {
  for (let i = 1; i <= n; i++) if (ids[at + n - i] !== ids[ids.length - i]) return false;
  return true;
}
