// Configs and file metadata of small floats, against the text that torchao 0.18 writes for the same objects.
import { bfloat16, cast, createRuntime, type Runtime, type Tensor } from '@ao/core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type AoConfig,
  codebookWeightOnly,
  configFromJson,
  configToJson,
  flattenTensorStateDict,
  float8DynamicActivationFloat8Weight,
  float8DynamicActivationInt4Weight,
  float8StaticActivationFloat8Weight,
  float8WeightOnly,
  fpxWeightOnly,
  groupwiseLutWeight,
  mxDynamicActivationMxWeight,
  mxWeightOnly,
  nf4WeightOnly,
  nvfp4DynamicActivationNvfp4Weight,
  nvfp4WeightOnly,
  parseScheme,
  perBlock,
  perRow,
  quantization,
  quantizeTensor,
  uintxWeightOnly,
} from '../src/index.ts';
import { matrix } from './model.ts';

let rt: Runtime;
beforeAll(async () => {
  rt = await createRuntime({ use: [quantization()] });
});

const E4M3 = '{"_type": "torch.dtype", "_data": "float8_e4m3fn"}';
const MM =
  '{"_type": "Float8MMConfig", "_version": 1, "_data": {"emulate": false, "use_fast_accum": true, "pad_inner_dim": false}}';
const AUTO = '{"_type": "KernelPreference", "_data": "AUTO"}';
const of = (type: string, version: number, data: string): string =>
  `{"_type": "${type}", "_version": ${version}, "_data": {${data}}}`;
const dynamic = (granularity: string): string =>
  of(
    'Float8DynamicActivationFloat8WeightConfig',
    2,
    `"activation_dtype": ${E4M3}, "weight_dtype": ${E4M3}, "granularity": [${granularity}, ${granularity}], "packing_format": {"_type": "Float8PackingFormat", "_data": "PLAIN"}, "mm_config": ${MM}, "activation_value_lb": null, "activation_value_ub": null, "kernel_preference": ${AUTO}, "set_inductor_config": true, "alg_id": 0`,
  );
const fixed = (step: string): string =>
  of(
    'Float8StaticActivationFloat8WeightConfig',
    1,
    `"step": ${step}, "act_quant_scale": null, "activation_dtype": ${E4M3}, "weight_dtype": ${E4M3}, "granularity": null, "mm_config": ${MM}, "kernel_preference": ${AUTO}, "set_inductor_config": true, "quantize_and_dequantize_output": false, "output_act_quant_scale": null`,
  );

/** What torchao prints, and the factory's config. */
const torchao: readonly (readonly [text: string, config: AoConfig])[] = [
  [
    of(
      'Float8WeightOnlyConfig',
      2,
      `"weight_dtype": ${E4M3}, "set_inductor_config": true, "granularity": {"_type": "PerRow", "_version": 1, "_data": {"dim": -1}}`,
    ),
    float8WeightOnly(),
  ],
  [dynamic('{"_type": "PerTensor", "_version": 1, "_data": {}}'), float8DynamicActivationFloat8Weight()],
  [
    dynamic('{"_type": "PerRow", "_version": 1, "_data": {"dim": -1}}'),
    float8DynamicActivationFloat8Weight({ granularity: perRow() }),
  ],
  [fixed('null'), float8StaticActivationFloat8Weight()],
  [fixed('"convert"'), float8StaticActivationFloat8Weight({ step: 'convert' })],
  [
    of('Float8DynamicActivationInt4WeightConfig', 1, '"int4_packing_format": "preshuffled"'),
    float8DynamicActivationInt4Weight(),
  ],
  [
    of(
      'MXDynamicActivationMXWeightConfig',
      1,
      `"block_size": 32, "activation_dtype": ${E4M3}, "weight_dtype": ${E4M3}, "kernel_preference": ${AUTO}, "scaling_mode": {"_type": "ScaleCalculationMode", "_data": "RCEIL"}`,
    ),
    mxDynamicActivationMxWeight(),
  ],
  [
    of(
      'NVFP4DynamicActivationNVFP4WeightConfig',
      1,
      '"use_triton_kernel": true, "use_dynamic_per_tensor_scale": true, "step": null',
    ),
    nvfp4DynamicActivationNvfp4Weight(),
  ],
  [
    of(
      'NVFP4DynamicActivationNVFP4WeightConfig',
      1,
      '"use_triton_kernel": true, "use_dynamic_per_tensor_scale": false, "step": {"_type": "QuantizationStep", "_data": "PREPARE"}',
    ),
    nvfp4DynamicActivationNvfp4Weight({ step: 'prepare' }),
  ],
  [of('NVFP4WeightOnlyConfig', 1, '"use_dynamic_per_tensor_scale": true'), nvfp4WeightOnly()],
  [of('NF4WeightOnlyConfig', 1, ''), nf4WeightOnly()],
  [
    of(
      'GroupwiseLutWeightConfig',
      1,
      '"code_dtype": {"_type": "torch.dtype", "_data": "int4"}, "weight_dtype": {"_type": "torch.dtype", "_data": "float32"}, "backend": "auto", "lut_block_shape": [2, -1], "scale_block_shape": null, "use_qdq_reference": false, "target": null, "cache_dir": null, "has_scale": false',
    ),
    groupwiseLutWeight(),
  ],
  [
    of(
      'UIntxWeightOnlyConfig',
      1,
      '"group_size": 128, "bit_width": 4, "packing_bitwidth": null, "set_inductor_config": true',
    ),
    uintxWeightOnly(),
  ],
];

describe("configs have torchao's text", () => {
  it.each(torchao)('%s', (text, config) => {
    expect(configToJson(config)).toBe(text);
    expect(configFromJson(text)).toEqual(config);
  });

  it.each([
    mxWeightOnly({ weightDtype: 'fp6_e2m3' }),
    nf4WeightOnly({ blockSize: 32 }),
    fpxWeightOnly(3, 2),
    uintxWeightOnly({ dtype: 'uint3', useHqq: true }),
    codebookWeightOnly({ scaleBlockSize: 64 }),
    float8WeightOnly({ granularity: perBlock([128, 128]) }),
    float8DynamicActivationFloat8Weight({ granularity: [perBlock([1, 128]), perBlock([128, 128])] }),
  ])('$type comes back from JSON', (config) => expect(configFromJson(configToJson(config))).toEqual(config));

  it.each([
    [
      'mixed granularities',
      () => float8DynamicActivationFloat8Weight({ granularity: [perRow(), perBlock([8, 8])] as never }),
      'perTensor(), perRow()',
    ],
    [
      'a sparse layout',
      () => float8DynamicActivationFloat8Weight({ packingFormat: 'sparse_2d_data_2d_metadata' }),
      'PLAIN',
    ],
    ['an int4 layout', () => float8DynamicActivationInt4Weight({ int4PackingFormat: 'plain_int32' }), "'preshuffled'"],
    ['two MX dtypes', () => mxDynamicActivationMxWeight({ weightDtype: 'fp6_e2m3' }), 'both the same dtype'],
    ['an odd block', () => mxWeightOnly({ blockSize: 31 }), 'use 32'],
    ['9 bits', () => fpxWeightOnly(5, 3), '3 to 8 bits'],
    ['2 bits', () => fpxWeightOnly(1, 0), '3 to 8 bits'],
    ['bits that do not add up', () => parseScheme('fp5_e3m2'), 'use fp6_e3m2'],
    ['groups where there are none', () => parseScheme('nvfp4wo-32'), "leave '-32' out"],
    ['blocks of a codebook', () => codebookWeightOnly({ blockSize: [2, 2] }), '[1, 1]'],
    ['scales of a table', () => groupwiseLutWeight({ hasScale: true }), 'leave it out'],
    ['a table of a block', () => groupwiseLutWeight({ lutBlockShape: [2, 2] }), '[N, -1]'],
    [
      'output rounding without its scale',
      () => float8StaticActivationFloat8Weight({ actQuantScale: [[1]], quantizeAndDequantizeOutput: true }),
      'outputActQuantScale',
    ],
  ] as const)('%s is refused, and told what to use', (_name, make, fix) => expect(make).toThrow(fix));
});

describe("tensors have torchao's metadata", () => {
  const mm = '{"_type": "Float8MMConfig", "_data": {"emulate": false, "use_fast_accum": true, "pad_inner_dim": false}}';
  const bf16 = '{"_type": "torch.dtype", "_data": "bfloat16"}';
  const emulated = '{"_type": "KernelPreference", "_data": "EMULATED"}';
  const table: readonly (readonly [config: AoConfig, text: string, parts: string])[] = [
    [
      float8DynamicActivationFloat8Weight({ granularity: perRow(), activationValueLb: 0.5 }),
      `{"_type": "Float8Tensor", "_data": {"block_size": [1, 128], "mm_config": ${mm}, "act_quant_kwargs": {"_type": "QuantizeTensorToFloat8Kwargs", "_data": {"float8_dtype": ${E4M3}, "granularity": {"_type": "PerRow", "_data": {"dim": -1}}, "mm_config": ${mm}, "hp_value_lb": 0.5, "hp_value_ub": null, "kernel_preference": ${AUTO}}}, "kernel_preference": ${AUTO}, "dtype": ${bf16}}, "_tensor_data_names": ["qdata", "scale"]}`,
      'qdata float8_e4m3fn 32,128; scale float32 32,1',
    ],
    [
      mxDynamicActivationMxWeight({
        weightDtype: 'fp6_e2m3',
        activationDtype: 'fp6_e2m3',
        kernelPreference: 'EMULATED',
      }),
      `{"_type": "MXTensor", "_data": {"elem_dtype": "fp6_e2m3", "block_size": 32, "orig_dtype": ${bf16}, "kernel_preference": ${emulated}, "act_quant_kwargs": {"_type": "QuantizeTensorToMXKwargs", "_data": {"elem_dtype": "fp6_e2m3", "block_size": 32, "scaling_mode": {"_type": "ScaleCalculationMode", "_data": "RCEIL"}, "kernel_preference": ${emulated}, "is_swizzled_scales": true}}, "is_swizzled_scales": true}, "_tensor_data_names": ["qdata", "scale"]}`,
      'qdata uint8 32,128; scale float8_e8m0fnu 32,16',
    ],
    [
      mxWeightOnly({ weightDtype: 'float4_e2m1fn_x2' }),
      `{"_type": "MXTensor", "_data": {"elem_dtype": {"_type": "torch.dtype", "_data": "float4_e2m1fn_x2"}, "block_size": 32, "orig_dtype": ${bf16}, "kernel_preference": ${emulated}, "act_quant_kwargs": null, "is_swizzled_scales": false}, "_tensor_data_names": ["qdata", "scale"]}`,
      'qdata uint8 32,64; scale float8_e8m0fnu 32,4',
    ],
    [
      nvfp4WeightOnly(),
      `{"_type": "NVFP4Tensor", "_data": {"is_swizzled_scales": true, "use_triton_kernel": false, "act_quant_kwargs": null, "block_size": 16, "orig_dtype": ${bf16}}, "_tensor_data_names": ["per_tensor_scale", "qdata", "scale"]}`,
      'per_tensor_scale float32 ; qdata uint8 32,64; scale float8_e4m3fn 32,32',
    ],
    [
      nvfp4DynamicActivationNvfp4Weight({ useDynamicPerTensorScale: false, useTritonKernel: false }),
      `{"_type": "NVFP4Tensor", "_data": {"is_swizzled_scales": true, "use_triton_kernel": false, "act_quant_kwargs": {"_type": "QuantizeTensorToNVFP4Kwargs", "_data": {"block_size": 16, "is_swizzled_scales": true, "use_triton_kernel": false, "use_dynamic_per_tensor_scale": false}}, "block_size": 16, "orig_dtype": ${bf16}}, "_tensor_data_names": ["qdata", "scale"]}`,
      'qdata uint8 32,64; scale float8_e4m3fn 32,32',
    ],
  ];

  it.each(table)('$type', (config, text, parts) => {
    const w = quantizeTensor(cast(matrix(rt, 32, 128, 1), bfloat16), config);
    const { tensors, metadata } = flattenTensorStateDict(new Map<string, Tensor>([['a.weight', w]]));
    expect(metadata['a.weight']).toBe(text);
    expect([...tensors].map(([key, t]) => `${key.slice(10)} ${t.dtype.name} ${t.shape}`).join('; ')).toBe(parts);
  });
});
