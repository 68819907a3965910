// The fake quantizer of a config.
import { type Dense, dtypeByName, dtypeRange, type Tensor } from '@ao/core';
import { fromMx, nvfp4Dequantize, nvfp4Quantize, perTensorScale, toMx } from '@ao/quantization';
import type {
  FakeQuantizeConfigBase,
  IntxFakeQuantizeConfig,
  MXFakeQuantizeConfig,
  NVFP4FakeQuantizeConfig,
} from '../config/fake-quantize.ts';
import type { FakeQuantizer } from './fake-quantizer.ts';
import { float8 } from './float8.ts';
import { groups } from './groups.ts';
import { int4Float8, int4Rows } from './int4.ts';

const intx = (c: IntxFakeQuantizeConfig): FakeQuantizer =>
  groups({
    ...dtypeRange('qat', c.dtype),
    groupSize: c.granularity.type === 'PerGroup' ? c.granularity.groupSize : 0,
    mapping: c.mappingType,
    eps: c.eps ?? undefined,
    scaleDtype: c.scalePrecision === null ? undefined : dtypeByName(c.scalePrecision),
  });

const passing = (forward: (x: Tensor) => Tensor): FakeQuantizer => ({ forward, backward: (g) => g });

const mx = ({ dtype, blockSize, scalingMode }: MXFakeQuantizeConfig): FakeQuantizer =>
  passing((x) => fromMx(toMx(x, dtype, blockSize, scalingMode), dtype, blockSize, x.shape[x.ndim - 1]!, x.dtype));

const NVFP4_BLOCK = 16;

const nvfp4 = ({ usePerTensorScale }: NVFP4FakeQuantizeConfig): FakeQuantizer =>
  passing((x) => {
    const t = usePerTensorScale ? perTensorScale(x) : undefined;
    const { qdata, scale } = nvfp4Quantize(x as Dense, NVFP4_BLOCK, t);
    return nvfp4Dequantize(qdata, scale, t, NVFP4_BLOCK, x.shape[x.ndim - 1]!, x.dtype);
  });

export function fakeQuantizerOf(config: FakeQuantizeConfigBase): FakeQuantizer {
  switch (config.type) {
    case 'IntxFakeQuantizeConfig':
      return intx(config);
    case 'Int4WeightFakeQuantizeConfig':
      return config.activationDtype === 'bfloat16' ? int4Rows(config.groupSize) : int4Float8(config.groupSize);
    case 'Float8FakeQuantizeConfig':
      return float8(config);
    case 'MXFakeQuantizeConfig':
      return mx(config);
    case 'NVFP4FakeQuantizeConfig':
      return nvfp4(config);
  }
}
