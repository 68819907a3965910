// Whether the cpu beside this GPU quantizes to the same bytes, for every scheme.
import { createRuntime } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { cuda } from '@ao/kernels-cuda';
import { quantization } from '@ao/quantization';
import { sparsity } from '@ao/sparsity';
import { quantizedBytes as compare } from '../../src/quantized-bytes.ts';
import type { Part } from '../part.ts';

export const quantizedBytes: Part = {
  name: 'quantized-bytes',
  async run(_, say) {
    await using rt = await createRuntime({ use: [cuda(), cpu(), quantization(), sparsity()] });
    const { compared, differences } = await compare(rt, ['cpu', 'cuda'], [512, 1024]);
    const name = 'bytes of every scheme, cpu and cuda';
    say({ name, unit: 'passed', value: compared - differences.length });
    const note = differences.map(({ scheme, dtype, what }) => `${scheme} of ${dtype}: ${what}`).join('\n');
    say({ name, unit: 'failed', value: differences.length, ...(note === '' ? {} : { note }) });
  },
};
