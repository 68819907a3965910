// allowPatterns and ignorePatterns as huggingface_hub reads them (Python's fnmatch on the whole path): '*' any text, slashes
// too, '?' one character, [seq] and [!seq] one of or not of; a pattern that ends with '/' means all in that folder.
export function filterPaths(
  paths: readonly string[],
  allow: readonly string[] | undefined,
  ignore: readonly string[] = [],
): string[] {
  const matches = (patterns: readonly string[]): ((path: string) => boolean) => {
    const tests = patterns.map(regex);
    return (path) => tests.some((test) => test.test(path));
  };
  const allowed = allow === undefined ? () => true : matches(allow);
  const ignored = matches(ignore);
  return paths.filter((path) => allowed(path) && !ignored(path));
}

function regex(pattern: string): RegExp {
  const whole = pattern.endsWith('/') ? `${pattern}*` : pattern;
  const source = whole.replace(/\*|\?|\[(!?)(\]?[^\]]*)\]|[^*?[]+|\[/g, (token, not?: string, set?: string) => {
    if (token === '*') return '.*';
    if (token === '?') return '.';
    if (set !== undefined) return `[${not ? '^' : ''}${set.replace(/[\\\]^]/g, '\\$&')}]`;
    return token.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${source}$`, 's');
}
