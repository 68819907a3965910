// FILES.md: what every scheme's file is, how many bits a weight takes in it, and whether torchao loads it.
// `vitest run packages/quantization/test/files-table.test.ts -u` writes it; the test fails where the code does something else.
// scripts/load-in-torchao.py loads each of these files in Python.
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bfloat16, bytesSink, cast, type Dense, fileFormOf, type Tensor, tensor, type Wrapped } from '@ao/core';
import { expect, it } from 'vitest';
import {
  bitsPerWeight,
  type FlattenOptions,
  flattenTensorStateDict,
  parseScheme,
  quantizeTensor,
  torchaoForm,
  writeStateDict,
} from '../src/index.ts';
import { devices, native } from './devices.ts';
import { wave } from './model.ts';

const schemes: readonly string[] = [
  'int8wo int8wo-tensor int8wo-64 int8dq int8dq-asym',
  'int4wo-32 int4wo-128 int4wo-hqq-128 int4wo-tinygemm-128 int4wo-tiles-128',
  [1, 2, 3, 4, 5, 6, 7, 8].map((b) => `intx${b}-asym-32`).join(' '),
  'intx4-sym-32 intx4-hqq-32 8da4w-32 8da8w-axis',
  'float8wo float8wo-e5m2 float8wo-tensor float8wo-128 float8wo-128x128',
  'float8dq-row float8dq-tensor float8dq-128x128 float8dq-int4',
  'mxfp8wo mxfp6-e2m3wo mxfp4wo mxfp8dq nvfp4wo nvfp4dq nf4wo',
  'fp4_e2m1 fp6_e3m2 uint1wo-64 uint4wo-64 uintx4wo-128 codebook4wo lut4wo-2r',
  'gguf-q2_K gguf-q3_K gguf-q4_K gguf-q5_K gguf-q6_K gguf-q4_0 gguf-q8_0',
].flatMap((names) => names.split(' '));

const SHAPE = [128, 1024];
const { rt } = devices.at(-1)!;

/** Config classes that torchao 0.18 has. */
const texts = JSON.parse(readFileSync(new URL('./golden/configs.json', import.meta.url), 'utf8')) as string[];
const theirs = new Set(texts.map((text) => (JSON.parse(text) as { readonly _type: string })._type));

function bits(t: Tensor, options: FlattenOptions = {}): string {
  const { tensors } = flattenTensorStateDict(new Map([['m.weight', t]]), options);
  const bytes = [...tensors.values()].reduce((n, p: Dense) => n + p.numel * p.dtype.itemsize, 0);
  return bitsPerWeight(bytes, SHAPE).toFixed(3);
}

function inPython(t: Wrapped, config: string): string {
  const form = torchaoForm(t);
  if (form === undefined) return 'ours only';
  const loads =
    form === fileFormOf(t) ? 'torchao loads it' : `convert --to torchao: ${bits(t, { form: 'torchao' })} bits`;
  return theirs.has(config) ? loads : `${loads}; its config is ours`;
}

if (native !== 'cpu') console.log(`FILES.md is the same for every device: not written again on ${native}`);
it.skipIf(native !== 'cpu')('FILES.md is what the code does', { timeout: 60_000 }, async () => {
  const weight = cast(tensor(rt, wave(SHAPE[0]! * SHAPE[1]!, 1), { shape: SHAPE }), bfloat16);
  const rows: string[][] = [];
  // AO_FILES=folder also writes the files, for Python
  const folder = process.env.AO_FILES;
  for (const scheme of schemes) {
    const config = parseScheme(scheme);
    const t = quantizeTensor(weight, config) as Wrapped;
    const verdict = inPython(t, config.type);
    rows.push([scheme, config.type, fileFormOf(t)?.type ?? '-', bits(t), verdict]);
    if (folder === undefined || verdict === 'ours only') continue;
    await mkdir(folder, { recursive: true });
    const sink = bytesSink();
    await writeStateDict(new Map<string, Tensor>([['m.weight', t]]), sink, { form: 'torchao' });
    await writeFile(join(folder, `${scheme}.safetensors`), sink.bytes());
    await writeFile(join(folder, `${scheme}.f32`), Float32Array.from((await t.data()) as Float32Array));
  }
  const head = ['scheme', 'config', 'class in files', 'bits per weight', 'in Python'];
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((c, i) => c.padEnd(widths[i]!)).join(' | ')} |`;
  const page = `# Files of the schemes

A bfloat16 matrix [${SHAPE.join(', ')}] by each scheme, the bytes counted as they lie in a file. Codes take their bits; what torchao has in
another layout, \`ao convert --to torchao\` writes. A short last group is legal in our files alone: convert then names the tensor.

${[line(head), `| ${widths.map((w) => '-'.repeat(w)).join(' | ')} |`, ...rows.map(line)].join('\n')}
`;
  await expect(page).toMatchFileSnapshot('../FILES.md');
});
