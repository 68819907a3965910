// fp8 as DeepSeek and Qwen publish it: weight float8_e4m3 [N, K], weight_scale_inv float32 or bfloat16 [ceil(N / 128), ceil(K / 128)];
// w = q * s of its block.
import { type AoConfig, configFromDict } from '@ao/quantization';
import { expectTensor, matrixOf, modulesWith } from './errors.ts';
import type { ForeignFormat, ForeignTensor } from './format.ts';
import { dense, float8 } from './forms.ts';
import { dtypeName, floats, same, valuesOf } from './parts.ts';

const NAME = 'fp8';

export const fp8: ForeignFormat = {
  name: NAME,
  matches: (config) => config.json['quant_method'] === 'fp8',

  quantization: (): AoConfig => configFromDict({ _type: 'Float8WeightOnlyConfig', _version: 2, _data: {} }),

  async tensors(file, config) {
    const block = config.has('weight_block_size') ? config.numbers('weight_block_size') : [128, 128];
    const [rows, columns] = block as [number, number];
    return modulesWith(file, 'weight_scale_inv').map((module): ForeignTensor => {
      const [name, key] = [`${module}.weight`, `${module}.weight_scale_inv`];
      const [N, K] = matrixOf(NAME, file, name);
      const grid = [Math.ceil(N / rows), Math.ceil(K / columns)] as const;
      expectTensor(NAME, file, name, ['F8_E4M3'], [N, K]);
      expectTensor(NAME, file, key, ['F32', 'BF16'], grid);
      const uses = [name, key];
      const note = 'its float8 activations stay in full precision';
      const scales = floats('F32', grid, () => valuesOf(file, key));
      if (N % rows === 0 && K % columns === 0) {
        return {
          name,
          uses,
          note,
          ...float8({ qdata: same(file, name), scale: scales, blockSize: block, dtype: 'bfloat16' }),
        };
      }
      const make = async (): Promise<Float32Array> => {
        const [q, s] = [await valuesOf(file, name), await valuesOf(file, key)];
        return Float32Array.from(q, (value, i) => {
          const [n, k] = [Math.floor(i / K), i % K];
          return value * s[Math.floor(n / rows) * grid[1] + Math.floor(k / columns)]!;
        });
      };
      const why = `blocks of ${rows} x ${columns} do not divide [${N}, ${K}]: dequantized to ${dtypeName('BF16')}`;
      return { name, uses, note: why, ...dense('BF16', [N, K], make) };
    });
  },
};
