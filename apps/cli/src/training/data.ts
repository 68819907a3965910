// Training data of files: .jsonl with { text }, { prompt, completion } or { messages } a line, other files as one document each. Texts are packed
// into blocks through a token file; the others make an example a row, with a loss on the answer alone.
import { join } from 'node:path';
import { createFile, openFile, type Tokenizer } from '@ao/hf-integration';
import {
  chatExample,
  type Dataset,
  type Example,
  exampleDataset,
  instructionExample,
  openTokens,
  packedDataset,
  writeTokens,
} from '@ao/train';
import { UsageError } from '../exit.ts';
import { readText } from '../read-text.ts';

type Line = Readonly<Record<string, unknown>>;
type Form = 'text' | 'prompt' | 'messages';

export interface Source {
  readonly form: Form;
  readonly lines: readonly Line[];
}

export interface DataOptions {
  readonly blockSize: number;
  readonly vocabSize: number;
  readonly eosTokenId: number;
  /** Where the token file goes. */
  readonly folder: string;
  readonly name: string;
  readonly signal: AbortSignal;
}

const formOf = (line: Line): Form | undefined =>
  typeof line['text'] === 'string'
    ? 'text'
    : typeof line['prompt'] === 'string' && typeof line['completion'] === 'string'
      ? 'prompt'
      : Array.isArray(line['messages'])
        ? 'messages'
        : undefined;

function parsed(text: string, where: string): Line {
  try {
    const line = JSON.parse(text) as Line | null;
    if (line !== null && formOf(line) !== undefined) return line;
  } catch {}
  throw new UsageError(`${where} is none of {"text"}, {"prompt", "completion"} and {"messages"} as JSON`);
}

/** Reads the files that a flag names; wrong ones are wrong use. */
export async function readSource(files: readonly string[], flag: string): Promise<Source> {
  const lines: Line[] = [];
  for (const file of files) {
    const text = await readText(file, flag);
    if (!file.endsWith('.jsonl')) lines.push({ text });
    else
      for (const [i, line] of text.split('\n').entries())
        if (line.trim() !== '') lines.push(parsed(line, `${flag} ${file}: line ${i + 1}`));
  }
  const forms = new Set(lines.map((line) => formOf(line)!));
  const [form] = forms;
  if (form === undefined) throw new UsageError(`${flag} ${files.join(' ')} holds no text`);
  if (forms.size > 1) throw new UsageError(`${flag} mixes ${[...forms].join(' and ')}: give one kind of data`);
  return { form, lines };
}

export async function datasetOf(
  { form, lines }: Source,
  tokenizer: Tokenizer,
  { blockSize, vocabSize, eosTokenId, folder, name, signal }: DataOptions,
): Promise<Dataset & { close(): Promise<void> }> {
  const encode = (text: string): number[] => tokenizer.encode(text, { addSpecialTokens: false });
  if (form === 'text') {
    const path = join(folder, `${name}-tokens.safetensors`);
    const documents = function* (): Generator<number[]> {
      for (const { text } of lines) yield encode(text as string);
    };
    await writeTokens(await createFile(path), documents(), { eosTokenId, vocabSize, signal });
    const file = await openFile(path);
    return { ...packedDataset(await openTokens(file), blockSize), close: () => file.close() };
  }
  const eos = tokenizer.eosToken ?? '';
  const examples: Example[] = [];
  for (const line of lines) {
    if (form === 'prompt')
      examples.push(instructionExample(line['prompt'] as string, line['completion'] as string, eos, encode));
    else
      examples.push(
        await chatExample(line['messages'] as { role: string }[], tokenizer.applyChatTemplate.bind(tokenizer), encode),
      );
  }
  return { ...exampleDataset(examples, blockSize, eosTokenId), close: async () => {} };
}
