// What a browser application carries that imports `quantize_` and one config: no native loader, no other scheme, a small core.
import { describe, expect, it } from 'vitest';
import { bundle } from '../src/bundle.ts';

const nativeLoader = ['dlopen', 'createRequire', '.node"', 'kernels-cpu-', 'AO_ISA', 'worker_threads'];

const configs = {
  int4: 'Int4WeightOnlyConfig',
  int8: 'Int8WeightOnlyConfig',
  intx: 'IntxWeightOnlyConfig',
  int8Dynamic: 'Int8DynamicActivationInt8WeightConfig',
  int8Static: 'Int8StaticActivationInt8WeightConfig',
  int8DynamicIntx: 'Int8DynamicActivationIntxWeightConfig',
};
const families = { int4: configs.int4, int8: configs.int8, intx: configs.intx };
type Family = keyof typeof families;
const tensors: Readonly<Record<Family, string>> = {
  int4: 'Int4Tensor',
  int8: 'Int8Tensor',
  intx: 'IntxUnpackedToInt8Tensor',
};

const application = (family: Family): string => `
import { createRuntime } from '@ao/core';
import { ${family}, ${family}WeightOnly, quantize_ } from '@ao/quantization';
export const main = async (model) => {
  const rt = await createRuntime({ use: [${family}()] });
  await quantize_(model, ${family}WeightOnly());
  return rt;
};`;

const present = (code: string, names: readonly string[]): string[] =>
  names.filter((name) => code.includes(`"${name}"`));

/** Quantization's primitives are ops of core, so that backends can have kernels for them; they count with the scheme. */
const isCore = (path: string): boolean =>
  path.startsWith('packages/core/') && !path.startsWith('packages/core/src/ops/quant/');

describe.each(Object.keys(families) as Family[])('a browser application with quantize_ and %sWeightOnly', (family) => {
  it('contains that scheme and no other', async () => {
    const { code } = await bundle(application(family), { readable: true });
    expect(present(code, Object.values(configs))).toEqual([families[family]]);
    expect(present(code, Object.values(tensors))).toEqual([tensors[family]]);
  });

  it('contains no native loader and needs nothing that a browser lacks', async () => {
    const { code, inputs, externals } = await bundle(application(family), { readable: true });
    expect(externals).toEqual([]);
    expect([...inputs.keys()].filter((path) => /kernels-|hf-integration|^node:/.test(path))).toEqual([]);
    expect(nativeLoader.filter((name) => code.includes(name))).toEqual([]);
  });

  it('carries less than 60 kB of core and is under 105 kB itself, minified', async () => {
    const { bytes, inputs } = await bundle(application(family));
    const core = [...inputs].filter(([path]) => isCore(path)).reduce((sum, [, n]) => sum + n, 0);
    expect(core).toBeGreaterThan(10_000);
    expect(core).toBeLessThan(60_000);
    expect(bytes).toBeLessThan(105_000);
  });
});

describe('core', () => {
  it('is under 105 kB minified with every name that it exports', async () => {
    const { bytes, externals } = await bundle(`export * from '@ao/core';`);
    expect(externals).toEqual([]);
    expect(bytes).toBeLessThan(105_000);
  });
});
