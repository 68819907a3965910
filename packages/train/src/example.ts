// Examples for instruction tuning: the ids of a text, and which of them are an answer, the only ones with a loss.

export interface Example {
  readonly ids: readonly number[];
  /** For each id, whether predicting it counts. */
  readonly loss: readonly boolean[];
}

export interface Segment {
  readonly text: string;
  readonly loss: boolean;
}

export type Encode = (text: string) => readonly number[];

/**
 * The example of a text in segments. The whole text is encoded at once, as it will be read; an id belongs to the segment in which its text
 * begins: the ids before a border are those that the text up to there has in common with the whole.
 */
export function exampleOf(segments: readonly Segment[], encode: Encode): Example {
  const whole = encode(segments.map((s) => s.text).join(''));
  const loss: boolean[] = [];
  let text = '';
  for (const [i, segment] of segments.entries()) {
    text += segment.text;
    const until = i + 1 === segments.length ? whole.length : commonLength(encode(text), whole);
    while (loss.length < until) loss.push(segment.loss);
  }
  return { ids: whole, loss };
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

/** A prompt and its answer, ended by `eos`. */
export const instructionExample = (prompt: string, answer: string, eos: string, encode: Encode): Example =>
  exampleOf(
    [
      { text: prompt, loss: false },
      { text: answer + eos, loss: true },
    ],
    encode,
  );

export interface Turn {
  readonly role: string;
}

/**
 * A conversation as its chat template writes it: what the assistant says has a loss, its header has none. `render` is the tokenizer's
 * applyChatTemplate.
 */
export async function chatExample<T extends Turn>(
  messages: readonly T[],
  render: (messages: readonly T[], options: { readonly addGenerationPrompt: boolean }) => Promise<string>,
  encode: Encode,
): Promise<Example> {
  const segments: Segment[] = [];
  let text = '';
  const upTo = (next: string, loss: boolean): void => {
    segments.push({ text: next.startsWith(text) ? next.slice(text.length) : '', loss });
    if (next.startsWith(text)) text = next;
  };
  for (const [i, { role }] of messages.entries()) {
    if (role !== 'assistant') continue;
    upTo(await render(messages.slice(0, i), { addGenerationPrompt: true }), false);
    upTo(await render(messages.slice(0, i + 1), { addGenerationPrompt: false }), true);
  }
  upTo(await render(messages, { addGenerationPrompt: false }), false);
  return exampleOf(segments, encode);
}
