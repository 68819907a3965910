// What a browser application carries that imports `quantize_` and one config: no native loader, no other scheme, a small core.
import { describe, expect, it } from 'vitest';
import { bundle } from '../src/bundle.ts';

const application = (scheme: string): string => `
import { createRuntime } from '@ao/core';
import { ${scheme}, ${scheme}WeightOnly, quantize_ } from '@ao/quantization';
export const main = async (model) => {
  const rt = await createRuntime({ use: [${scheme}()] });
  await quantize_(model, ${scheme}WeightOnly());
  return rt;
};`;

const nativeLoader = ['dlopen', 'createRequire', '.node"', 'kernels-cpu-', 'AO_ISA', 'worker_threads'];
const configs = {
  int4: 'Int4WeightOnlyConfig',
  int8: 'Int8WeightOnlyConfig',
  intx: 'IntxWeightOnlyConfig',
  int8Dynamic: 'Int8DynamicActivationInt8WeightConfig',
  int8DynamicIntx: 'Int8DynamicActivationIntxWeightConfig',
  int8Static: 'Int8StaticActivationInt8WeightConfig',
};

describe.each(['int4', 'int8'] as const)('a browser application with quantize_ and %sWeightOnly', (scheme) => {
  it('contains that scheme and no other', async () => {
    const { code } = await bundle(application(scheme), { readable: true });
    expect(Object.values(configs).filter((name) => code.includes(`"${name}"`))).toEqual([configs[scheme]]);
  });

  it('contains no native loader and needs nothing that a browser lacks', async () => {
    const { code, inputs, externals } = await bundle(application(scheme), { readable: true });
    expect(externals).toEqual([]);
    expect([...inputs.keys()].filter((path) => /kernels-|hf-integration|^node:/.test(path))).toEqual([]);
    expect(nativeLoader.filter((name) => code.includes(name))).toEqual([]);
  });

  it('carries less than 60 kB of core, minified', async () => {
    const { inputs } = await bundle(application(scheme));
    const core = [...inputs].filter(([path]) => path.startsWith('packages/core/'));
    expect(core.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeLessThan(60_000);
  });
});

describe('core', () => {
  it('is under 80 kB minified with every name that it exports', async () => {
    const { bytes, externals } = await bundle(`export * from '@ao/core';`);
    expect(externals).toEqual([]);
    expect(bytes).toBeLessThan(80_000);
  });
});
