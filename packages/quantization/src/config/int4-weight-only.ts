// Int4WeightOnlyConfig: int4 weights in groups with floating-point zero points (torchao's Int4Tensor), and torchao's CPU
// variant PrototypeInt4WeightOnlyConfig, whose parameters are chosen as tinygemm does.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, enumeration, int, oneOf } from './field.ts';
import { type Activation, enums, type Int4ChooseQParamsAlgorithm, type Int4PackingFormat, member } from './names.ts';
import { layoutMoved, removed, schemeMoved } from './renamed.ts';

export interface Int4WeightOnlyConfig {
  readonly type: 'Int4WeightOnlyConfig';
  readonly groupSize: number;
  readonly setInductorConfig: boolean;
  readonly int4PackingFormat: Int4PackingFormat;
  readonly int4ChooseQparamsAlgorithm: Int4ChooseQParamsAlgorithm;
  readonly int4TilePackedNtile: number;
  readonly activation: Activation;
}

export interface Int4WeightOnlyOptions {
  /** 32, 64, 128 or 256. */
  groupSize?: number;
  /** 'exact', or the fast form that also rounds activations to int8 in groups. */
  activation?: Activation;
  int4ChooseQparamsAlgorithm?: Int4ChooseQParamsAlgorithm;
  int4PackingFormat?: Int4PackingFormat;
  int4TilePackedNtile?: number;
  setInductorConfig?: boolean;
  /** The old name of `int4ChooseQparamsAlgorithm: 'HQQ'`. */
  useHqq?: boolean;
  version?: number;
}

export const GROUP_SIZES: readonly number[] = /*@__PURE__*/ Object.freeze([32, 64, 128, 256]);

function checkGroupSize(type: string, groupSize: number): void {
  if (!GROUP_SIZES.includes(groupSize)) {
    throw configError(
      `${type}: group size ${groupSize} is not supported`,
      `use one of ${GROUP_SIZES.join(', ')}, or intxWeightOnly for other sizes`,
    );
  }
}

const activation = /*@__PURE__*/ field<Activation>(/*@__PURE__*/ oneOf('exact', 'int8-group', 'int8-token'), 'exact');

const suffix = (a: Activation): string => (a === 'exact' ? '' : `:${a}`);

export const int4WeightOnlySpec: ConfigSpec<Int4WeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'Int4WeightOnlyConfig',
  version: 2,
  fields: {
    groupSize: /*@__PURE__*/ field(int, 128),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
    int4PackingFormat: /*@__PURE__*/ field<Int4PackingFormat>(
      /*@__PURE__*/ enumeration(enums.int4PackingFormat),
      'PLAIN',
    ),
    int4ChooseQparamsAlgorithm: /*@__PURE__*/ field<Int4ChooseQParamsAlgorithm>(
      /*@__PURE__*/ enumeration(enums.int4ChooseQParamsAlgorithm),
      'TINYGEMM',
    ),
    int4TilePackedNtile: /*@__PURE__*/ field(int, 8),
  },
  ao: { activation },
  renamed: {
    useHqq: (value, options) => {
      const algorithm = options.int4ChooseQparamsAlgorithm as string | undefined;
      if (value === false) return {};
      if (algorithm !== undefined && member(algorithm) !== 'HQQ') {
        throw configError(
          `Int4WeightOnlyConfig: useHqq and int4ChooseQparamsAlgorithm '${algorithm}' disagree`,
          'leave useHqq out',
        );
      }
      return { int4ChooseQparamsAlgorithm: algorithm ?? 'HQQ' };
    },
    packingFormat: (value) => ({ int4PackingFormat: value }),
    layout: layoutMoved,
    scheme: schemeMoved,
    zeroPointDomain: /*@__PURE__*/ removed(
      'zeroPointDomain',
      'leave it out: zero points are floating point here; for integer ones use intxWeightOnly({ mappingType: "ASYMMETRIC" })',
    ),
    preserveZero: /*@__PURE__*/ removed('preserveZero', 'leave it out; to represent zero exactly use intxWeightOnly'),
  },
  check: (config) => {
    checkGroupSize(config.type, config.groupSize);
  },
  scheme: (c) =>
    `int4wo${member(c.int4PackingFormat) === 'TILE_PACKED_TO_4D' ? '-tiles' : ''}${member(c.int4ChooseQparamsAlgorithm) === 'HQQ' ? '-hqq' : ''}-${c.groupSize}${suffix(c.activation)}`,
});

/** `quantize_(model, int4WeightOnly({ groupSize: 32 }))`. */
export function int4WeightOnly(options: Int4WeightOnlyOptions = {}): Int4WeightOnlyConfig {
  return makeConfig(int4WeightOnlySpec, { ...options });
}

export interface PrototypeInt4WeightOnlyConfig {
  readonly type: 'PrototypeInt4WeightOnlyConfig';
  readonly groupSize: number;
  readonly int4ChooseQparamsAlgorithm: Int4ChooseQParamsAlgorithm;
  readonly setInductorConfig: boolean;
  readonly activation: Activation;
}

export interface PrototypeInt4WeightOnlyOptions {
  groupSize?: number;
  int4ChooseQparamsAlgorithm?: Int4ChooseQParamsAlgorithm;
  setInductorConfig?: boolean;
  activation?: Activation;
  version?: number;
}

export const prototypeInt4WeightOnlySpec: ConfigSpec<PrototypeInt4WeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'PrototypeInt4WeightOnlyConfig',
  version: 1,
  fields: {
    groupSize: /*@__PURE__*/ field(int, 128),
    int4ChooseQparamsAlgorithm: /*@__PURE__*/ field<Int4ChooseQParamsAlgorithm>(
      /*@__PURE__*/ enumeration(enums.int4ChooseQParamsAlgorithm),
      'TINYGEMM',
    ),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
  },
  ao: { activation },
  check: (config) => checkGroupSize(config.type, config.groupSize),
  scheme: (c) => `int4wo-${member(c.int4ChooseQparamsAlgorithm).toLowerCase()}-${c.groupSize}${suffix(c.activation)}`,
});

/** torchao's config for int4 on the CPU: tinygemm's or HQQ's parameters. */
export function prototypeInt4WeightOnly(options: PrototypeInt4WeightOnlyOptions = {}): PrototypeInt4WeightOnlyConfig {
  return makeConfig(prototypeInt4WeightOnlySpec, { ...options });
}
