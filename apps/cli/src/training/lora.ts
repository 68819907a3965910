// `--lora` and `--qlora SCHEME`: adapters of low rank over a frozen model, which keeps its weights packed, quantized or not. PEFT's files are what is saved.
import { join } from 'node:path';
import { createFile, torchAoConfig } from '@ao/hf-integration';
import { type Adapter, adapterFiles, getPeftModel, loraConfig, qat } from '@ao/qat';
import { parseScheme } from '@ao/quantization';
import { UsageError } from '../exit.ts';
import type { Method } from './method.ts';

export interface LoraFlags {
  readonly lora?: boolean;
  readonly qlora?: string;
  readonly loraR?: number;
  readonly loraAlpha?: number;
  readonly loraDropout?: number;
  readonly loraTargetModules?: string;
  readonly useDora?: boolean;
}

export const asksForLora = ({ lora, qlora }: LoraFlags): boolean => lora === true || qlora !== undefined;

/** Refuses flags of adapters without adapters. */
export function checkLoraFlags(flags: LoraFlags): void {
  if (asksForLora(flags)) return;
  const { loraR, loraAlpha, loraDropout, loraTargetModules, useDora } = flags;
  const [given] = Object.entries({
    'lora-r': loraR,
    'lora-alpha': loraAlpha,
    'lora-dropout': loraDropout,
    'lora-target-modules': loraTargetModules,
    'use-dora': useDora,
  }).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (given !== undefined) throw new UsageError(`--${given} belongs to --lora or --qlora SCHEME`);
}

export function loraMethod(
  {
    qlora,
    loraR = 8,
    loraAlpha = 16,
    loraDropout = 0,
    loraTargetModules: targets = 'all-linear',
    useDora = false,
  }: LoraFlags,
  seed: number,
  base: string,
): Method {
  const config = loraConfig({
    ...{ r: loraR, loraAlpha, loraDropout, useDora, baseModelNameOrPath: base },
    targetModules: targets.includes(',') ? targets.split(',') : targets === 'all-linear' ? targets : [targets],
  });
  let adapter: Adapter | undefined;
  return {
    extensions: [qat()],
    load: qlora === undefined ? {} : { quantizationConfig: torchAoConfig(parseScheme(qlora)) },
    savesModel: false,
    generators: () => (adapter?.generator ? { lora: adapter.generator } : {}),
    async prepare(model) {
      adapter = await getPeftModel(model, config, { seed });
    },
    async save(_, folder) {
      for (const [name, bytes] of Object.entries(await adapterFiles(adapter!))) {
        const sink = await createFile(join(folder, name));
        await sink.write(bytes as Uint8Array);
        await sink.close();
      }
    },
  };
}
