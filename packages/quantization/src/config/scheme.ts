// Short names of configs, for command lines and tests: NAME[-VARIANT][-GROUP][:ACTIVATION], e.g. int4wo-32:int8-group.
import { distance } from 'fastest-levenshtein';
import type { AoConfig } from './config.ts';
import { configError } from './field.ts';
import { perAxis, perGroup, perRow, perTensor } from './granularity.ts';
import { int4WeightOnly, prototypeInt4WeightOnly } from './int4-weight-only.ts';
import { int8DynamicActivationInt8Weight } from './int8-dynamic-activation-int8-weight.ts';
import { int8DynamicActivationIntxWeight } from './int8-dynamic-activation-intx-weight.ts';
import { int8WeightOnly } from './int8-weight-only.ts';
import { intxWeightOnly } from './intx-weight-only.ts';
import type { Activation, IntxDType, MappingType } from './names.ts';
import { floatSchemes } from './scheme-floats.ts';
import { byShorthand, type SchemeKwargs, shorthandNames } from './shorthands.ts';

interface Scheme {
  readonly pattern: RegExp;
  readonly help: string;
  /** `group` is 0 where none was written; `activation` is undefined unless written. */
  readonly make: (match: RegExpExecArray, group: number, activation: Activation | undefined) => AoConfig;
  /** The scheme quantizes activations by itself: no activation suffix. */
  readonly fixedActivation?: boolean;
}

const mapping = { sym: 'SYMMETRIC', asym: 'ASYMMETRIC', noclip: 'SYMMETRIC_NO_CLIPPING_ERR' } as const;

const algorithmAndMapping = (
  variant: string | undefined,
): { mapping: MappingType; algorithm: 'AFFINE' | 'HQQ_SCALE_ONLY' } =>
  variant === 'hqq'
    ? { mapping: 'SYMMETRIC', algorithm: 'HQQ_SCALE_ONLY' }
    : { mapping: mapping[(variant ?? 'sym') as keyof typeof mapping], algorithm: 'AFFINE' };

const given = (activation: Activation | undefined): { activation?: Activation } =>
  activation === undefined ? {} : { activation };

const schemes: readonly Scheme[] = [
  {
    pattern: /^int8wo(-tensor)?$/,
    help: 'int8wo[-GROUP], int8wo-tensor: int8 weights',
    make: (m, group, a) =>
      int8WeightOnly({
        granularity: m[1] !== undefined ? perTensor() : group > 0 ? perGroup(group) : perRow(),
        ...given(a),
      }),
  },
  {
    pattern: /^int8dq(-asym)?(-tensor|-act_tensor|-weight_tensor)?(-reduce_range)?(-exact_row)?$/,
    help: 'int8dq[-asym]: int8 weights and dynamic int8 activations',
    fixedActivation: true,
    make: (m) => {
      const tensor = perTensor();
      const granularity =
        m[2] === '-tensor'
          ? tensor
          : m[2] === '-act_tensor'
            ? ([tensor, perRow()] as const)
            : m[2] === '-weight_tensor'
              ? ([perRow(), tensor] as const)
              : perRow();
      return int8DynamicActivationInt8Weight({
        actMappingType: m[1] === undefined ? 'SYMMETRIC' : 'ASYMMETRIC',
        granularity,
        reduceRange: m[3] !== undefined,
        weightOnlyDecode: m[4] !== undefined,
      });
    },
  },
  {
    pattern: /^int4wo(-tiles)?(-plain|-hqq)?$/,
    help: 'int4wo[-tiles][-hqq][-GROUP]: int4 weights in groups (128 unless given) with float zero points',
    make: (m, group, a) =>
      int4WeightOnly({
        groupSize: group || 128,
        ...(m[1] !== undefined && { int4PackingFormat: 'tile_packed_to_4d' as const }),
        int4ChooseQparamsAlgorithm: m[2] === '-hqq' ? 'HQQ' : 'TINYGEMM',
        ...given(a),
      }),
  },
  {
    pattern: /^int4wo-tinygemm$/,
    help: "int4wo-tinygemm[-GROUP]: int4 with tinygemm's parameters",
    make: (_m, group, a) => prototypeInt4WeightOnly({ groupSize: group || 128, ...given(a) }),
  },
  {
    pattern: /^int([1-7])wo-(sym|asym|noclip)$|^intx([1-8])(?:wo)?(?:-(sym|asym|noclip|hqq))?$/,
    help: 'intxB[-sym|-asym|-noclip|-hqq][-GROUP]: weights of B = 1..8 bits with integer zero points; also int4wo-sym-GROUP',
    make: (m, group, a) => {
      const { mapping: mappingType, algorithm } = algorithmAndMapping(m[2] ?? m[4]);
      const granularity = group > 0 ? perGroup(group) : perAxis(0);
      return intxWeightOnly({
        weightDtype: `int${m[1] ?? m[3]}` as IntxDType,
        granularity,
        mappingType,
        intxChooseQparamsAlgorithm: algorithm,
        ...given(a),
      });
    },
  },
  {
    pattern: /^8da([1-8])w(?:-(sym|asym|noclip|hqq|axis))?$/,
    help: '8daBw[-asym|-noclip|-hqq|-axis][-GROUP]: weights of B bits (groups of 32 unless given), int8 activations per token',
    fixedActivation: true,
    make: (m, group) => {
      const { mapping: weightMappingType, algorithm } = algorithmAndMapping(m[2] === 'axis' ? undefined : m[2]);
      const weightGranularity = m[2] === 'axis' ? perAxis(0) : perGroup(group || 32);
      return int8DynamicActivationIntxWeight({
        weightDtype: `int${m[1]}` as IntxDType,
        weightGranularity,
        weightMappingType,
        intxChooseQparamsAlgorithm: algorithm,
      });
    },
  },
  ...floatSchemes,
];

const activations: readonly Activation[] = ['exact', 'int8-group', 'int8-token'];

/** One line per scheme that parseScheme knows. */
export function schemeHelp(): string[] {
  return schemes.map((s) => s.help);
}

/**
 * Reads 'int4wo-32', 'int8dq', '8da4w-32', 'int4wo-32:int8-group' ('_g32' is read as '-32'), and the names of torchao's,
 * transformers' and diffusers' documents: 'int8_weight_only', 'float8dq_e4m3_row'. Those take the options of their config:
 * `parseScheme('int4_weight_only', { groupSize: 32 })`; of the others the name says all. Throws ERR_AO_CONFIG.
 */
export function parseScheme(text: string, options: SchemeKwargs = {}): AoConfig {
  const named = byShorthand(text.trim(), options);
  if (named !== undefined) return named;
  const config = byPattern(text);
  if (config === undefined) throw unknown(text);
  const [extra] = Object.keys(options);
  if (extra === undefined) return config;
  throw configError(
    `scheme '${text}' takes no option ${extra}: its name says all`,
    `leave ${extra} out, or name the scheme as one of ${shorthandNames().slice(0, 8).join(', ')}`,
  );
}

/** Names that differ from `text` in few letters, the nearest first. */
function near(text: string): string[] {
  const names = [...shorthandNames(), 'int4wo-hqq', 'int4wo-tinygemm', 'intx4-sym', 'intx4-asym', 'intx4-hqq', '8da4w'];
  const asked = text.trim().toLowerCase();
  return names
    .map((name) => ({ name, far: distance(asked, name) }))
    .filter(({ name, far }) => far <= Math.max(2, Math.floor(name.length / 4)))
    .sort((a, b) => a.far - b.far)
    .slice(0, 4)
    .map(({ name }) => name);
}

function unknown(text: string): Error {
  const names = near(text);
  const maybe = names.length === 0 ? '' : `did you mean ${names.join(', ')}? `;
  return configError(
    `unknown scheme '${text}'`,
    `${maybe}schemes:\n  ${schemeHelp().join('\n  ')}\nwith :int8-group or :int8-token for integer activations; and the documents' names:\n  ${shorthandNames().join(' ')}`,
  );
}

function byPattern(text: string): AoConfig | undefined {
  const [name = '', ...suffixes] = text.trim().split(':');
  const normal = name.replace(/_g?(\d+)$/, '-$1').replace(/_(sym|asym|noclip|plain|hqq|tinygemm|axis)/g, '-$1');
  const grouped = /^(.*)-(\d+)$/.exec(normal);
  const group = grouped === null ? 0 : Number(grouped[2]);
  const base = grouped?.[1] ?? normal;
  for (const suffix of suffixes) {
    if (!activations.includes(suffix as Activation)) {
      throw configError(`scheme '${text}': unknown activation '${suffix}'`, `use one of: ${activations.join(', ')}`);
    }
  }
  for (const scheme of schemes) {
    const match = scheme.pattern.exec(base);
    if (match === null) continue;
    if (scheme.fixedActivation === true && suffixes.length > 0) {
      throw configError(
        `scheme '${text}': ${base} quantizes activations by itself`,
        `leave ':${suffixes.join(':')}' out`,
      );
    }
    return scheme.make(match, group, suffixes[0] as Activation | undefined);
  }
  return undefined;
}
