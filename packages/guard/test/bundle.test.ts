// What a browser application carries that imports `quantize_` and one config: no native loader, no other scheme, a small core.
import { describe, expect, it } from 'vitest';
import { bundle } from '../src/bundle.ts';

const application = `
import { createRuntime } from '@ao/core';
import { int4, int4WeightOnly, quantize_ } from '@ao/quantization';
export const main = async (model) => {
  const rt = await createRuntime({ use: [int4()] });
  await quantize_(model, int4WeightOnly({ groupSize: 32 }));
  return rt;
};`;

const nativeLoader = ['process.dlopen', 'createRequire', '.node"', 'kernels-cpu', 'AO_ISA', 'worker_threads'];
const otherSchemes = [
  'int8WeightOnly',
  'Int8WeightOnlyConfig',
  'IntxWeightOnlyConfig',
  'Int8DynamicActivationInt8WeightConfig',
  'Int8DynamicActivationIntxWeightConfig',
];

describe('a browser bundle with quantize_ and one config', () => {
  it('contains no native loader and no other scheme', async () => {
    const { code, inputs, externals } = await bundle(application, { readable: true });
    expect(externals).toEqual([]);
    expect(inputs.filter((path) => /kernels-|hf-integration|^node:/.test(path))).toEqual([]);
    expect([...nativeLoader, ...otherSchemes].filter((name) => code.includes(name))).toEqual([]);
    expect(code).toContain('Int4WeightOnlyConfig');
  });

  it('names what another scheme would bring, so that absence means something', async () => {
    const { code } = await bundle(
      application.replaceAll('int4WeightOnly', 'int8WeightOnly').replace('int4,', 'int8,').replace('int4()', 'int8()'),
      { readable: true },
    );
    expect(code).toContain('Int8WeightOnlyConfig');
    expect(code).not.toContain('Int4WeightOnlyConfig');
  });
});

describe('core', () => {
  it('is under 60 kB minified, whole', async () => {
    const { bytes, externals } = await bundle(`export * from '@ao/core';`);
    expect(externals).toEqual([]);
    expect(bytes).toBeLessThan(60_000);
  });
});
