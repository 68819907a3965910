// MXFP8 training (torchao's MXFP8Linear): all operands e4m3 in blocks of 32 along the dimension that is summed over, with e8m0 scales;
// grad_weight in high precision where asked.
import { fromMx, type ScaleCalculationMode, toMx } from '@ao/quantization';
import { schemeOf, type TrainingScheme } from '../training-linear.ts';
import { productsOf } from './products.ts';
import { requireMultiple } from './require-multiple.ts';

const BLOCK = 32;
const ELEMENT = 'float8_e4m3fn';

export interface MXFP8TrainingConfig {
  readonly type: 'MXFP8TrainingConfig';
  readonly scaleCalculationMode: Extract<ScaleCalculationMode, 'RCEIL' | 'FLOOR'>;
  readonly wgradWithHp: boolean;
}

export const mxfp8Training = (options: Partial<Omit<MXFP8TrainingConfig, 'type'>> = {}): MXFP8TrainingConfig => ({
  type: 'MXFP8TrainingConfig',
  scaleCalculationMode: options.scaleCalculationMode ?? 'RCEIL',
  wgradWithHp: options.wgradWithHp ?? false,
});

export const mxfp8Block = BLOCK;

export const mxfp8Scheme = ({ scaleCalculationMode: mode, wgradWithHp }: MXFP8TrainingConfig): TrainingScheme =>
  schemeOf({
    ...productsOf((rows, _, gemm) => {
      if (wgradWithHp && gemm === 'gradWeight') return rows;
      return fromMx(toMx(rows, ELEMENT, BLOCK, mode), ELEMENT, BLOCK, rows.shape[1]!, rows.dtype);
    }),
    requireRows: (rows) => {
      if (!wgradWithHp) requireMultiple('mxfp8_linear', rows, BLOCK, 'or set wgradWithHp: true');
    },
  });
