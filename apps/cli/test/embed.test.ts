// ao embed on a tiny MiniLM: the vectors are those that sentence-transformers defines for it.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bytesSource, openSafetensors } from '@ao/core';
import { expect, test } from 'vitest';
import { ao, json } from './run.ts';

const fixtures = fileURLToPath(new URL('../../../packages/hf-integration/test/encoders/', import.meta.url));
const minilm = `${fixtures}minilm`;
const texts = JSON.parse(await readFile(`${minilm}/texts.json`, 'utf8')) as string[];
const file = await openSafetensors(bytesSource(await readFile(`${minilm}/expected.safetensors`), 'expected'));
const expected = new Float32Array(new Uint8Array(await file.read('embeddings')).buffer);

const far = (vectors: number[][]): number => Math.max(...vectors.flat().map((x, i) => Math.abs(x - expected[i]!)));

test('texts as arguments, --json', async () => {
  const result = (await json('embed', minilm, ...texts)) as { dimensions: number; embeddings: number[][] };
  expect(result.dimensions).toBe(32);
  expect(result.embeddings).toHaveLength(texts.length);
  expect(far(result.embeddings)).toBeLessThan(1e-4);
  const options = ['--scheme', 'int8wo', '--no-normalize', '--pooling', 'cls'];
  const other = (await json('embed', minilm, ...texts, ...options)) as { embeddings: number[][] };
  expect(far(other.embeddings)).toBeGreaterThan(0.1);
});

test('lines of stdin, one array a line', async () => {
  const bin = fileURLToPath(new URL('../bin/ao.mjs', import.meta.url));
  const child = spawn(process.execPath, [bin, 'embed', minilm], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stdin.end(`${texts.join('\n')}\n`);
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  const vectors = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as number[]);
  expect(vectors).toHaveLength(texts.length);
  expect(far(vectors)).toBeLessThan(1e-4);
});

test('models that make no text embeddings are refused with what does', async () => {
  const decoder = await ao('embed', 'stories-7m', 'a dog');
  expect(decoder).toMatchObject({ code: 1, stdout: '' });
  expect(decoder.stderr).toMatch(/LlamaForCausalLM is no model of AutoModel/);
  const images = await ao('embed', `${fixtures}vit`, 'a dog');
  expect(images).toMatchObject({ code: 2, stdout: '' });
  expect(images.stderr).toMatch(/is a model of images/);
  const help = await ao('embed', '--help');
  expect(help.stdout).toMatch(/Examples:\n.*ao embed/);
});
