// The TypeScript snippets of a Markdown file: every block fenced as ```ts. A block fenced as ```ts no-run is shown only.
export interface Snippet {
  readonly line: number;
  readonly code: string;
}

export function snippets(markdown: string): Snippet[] {
  return [...markdown.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => ({
    line: markdown.slice(0, match.index).split('\n').length,
    code: match[1] ?? '',
  }));
}
