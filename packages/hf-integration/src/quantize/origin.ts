// originOf: what a quantization is made of, as texts that differ where its result could: the configuration, the small files, and
// of the weights each file's size and time, every tensor's place, and a hash of the first bytes of each.
import { createHash } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TensorFile } from '@ao/core';
import type { MoreConfigs } from '@ao/quantization';
import type { Origin } from './journal.ts';
import { type TorchAoConfig, torchAoConfigToJsonString } from './torchao-config.ts';

const SAMPLE = 4096;

export async function originOf(
  folder: string,
  tensors: TensorFile,
  config: TorchAoConfig,
  maxShardSize: number | undefined,
  more: MoreConfigs,
): Promise<Origin> {
  const files = new Map<string, string>();
  const hash = createHash('sha256');
  for (const name of tensors.names) {
    const { dtype, shape, begin, end } = tensors.entry(name);
    const { source, offset } = tensors.locate(name);
    hash.update(JSON.stringify([name, dtype, shape, offset, end - begin]));
    hash.update(await tensors.readRange(name, 0, Math.min(SAMPLE, end - begin)));
    if (source.fd === undefined || files.has(source.name)) continue;
    const { size, mtimeMs } = fstatSync(source.fd);
    files.set(source.name, `${size} bytes of ${new Date(mtimeMs).toISOString()}`);
  }
  const text = await readFile(join(folder, 'config.json'));
  return {
    quantizationConfig: torchAoConfigToJsonString(config, more).replace(/\s+/g, ' ').trim(),
    maxShardSize: String(maxShardSize ?? 'the default'),
    'config.json': createHash('sha256').update(text).digest('hex'),
    ...Object.fromEntries(files),
    tensors: hash.digest('hex'),
  };
}
