// The tiny models of test/golden/families: transformers' configs and logits, and the model folders they belong to, whose
// weights follow from the tensors' names as in families.py.

import { readdirSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bfloat16, encodeArray, writeSafetensors } from '@ao/core';
import { createFile } from '../src/files/node-file.ts';
import { noise } from './tiny.ts';

const FOLDER = fileURLToPath(new URL('./golden/families/', import.meta.url));

export interface FamilyCase {
  readonly ids: readonly number[];
  /** What transformers chooses after them, one by one. */
  readonly greedy: readonly number[];
  /** float32 [T, V]. */
  readonly logits: Float32Array;
}

export interface FamilyFixture {
  readonly name: string;
  /** As repositories on the hub have it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** As transformers 5 saves it. */
  readonly saved: Readonly<Record<string, unknown>>;
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  readonly centre: number;
  readonly cases: readonly FamilyCase[];
  /** What transformers saves where torchao has quantized its 3-D experts, without the bytes; logits of the first case. */
  readonly int8Experts?: {
    readonly config: Readonly<Record<string, unknown>>;
    readonly metadata: Record<string, string>;
    readonly tensors: Readonly<Record<string, readonly [dtype: string, shape: readonly number[]]>>;
    readonly logits: Float32Array;
  };
}

function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

export const FAMILY_FIXTURES: readonly string[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length));

export async function familyFixture(name: string): Promise<FamilyFixture> {
  const json = JSON.parse(await readFile(`${FOLDER}${name}.json`, 'utf8'));
  const cases = json.cases.map((c: { ids: number[]; greedy: number[]; logits: string }) => ({
    ...c,
    logits: floats(c.logits),
  }));
  const { config, saved, tensors, norm_centre: centre, int8_experts: experts } = json;
  const int8Experts = experts && { ...experts, logits: floats(experts.logits) };
  return { name, config, saved, tensors, centre, cases, ...(int8Experts && { int8Experts }) };
}

/** The bfloat16 bytes of a tensor. */
export function familyBytes(fixture: FamilyFixture, name: string): Uint8Array {
  const numel = fixture.tensors[name]!.reduce((n, d) => n * d, 1);
  const values = noise(name, numel).map((x) => (name.includes('norm') ? fixture.centre + x / 8 : x / 4));
  return new Uint8Array(encodeArray(bfloat16, values).buffer);
}

/** A tensor of the file, made of others of the fixture that follow each other. */
export interface Stack {
  readonly shape: readonly number[];
  readonly of: readonly string[];
}

/** Writes the model folder; `stacks` replace the tensors that they are made of. */
export async function writeFamily(
  folder: string,
  fixture: FamilyFixture,
  options: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly stacks?: Readonly<Record<string, Stack>>;
  } = {},
): Promise<void> {
  const { config = fixture.config, stacks = {} } = options;
  const stacked = new Set(Object.values(stacks).flatMap((s) => s.of));
  const own = Object.entries(fixture.tensors).filter(([name]) => !stacked.has(name));
  const items = [
    ...own.map(([name, shape]) => ({ name, shape, dtype: 'BF16' })),
    ...Object.entries(stacks).map(([name, { shape }]) => ({ name, shape, dtype: 'BF16' })),
  ];
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify({ torch_dtype: 'bfloat16', ...config }));
  await writeSafetensors(await createFile(join(folder, 'model.safetensors')), items, ({ name }) =>
    Buffer.concat((stacks[name]?.of ?? [name]).map((part) => familyBytes(fixture, part))),
  );
}
