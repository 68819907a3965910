// Float8DynamicActivationInt4WeightConfig: symmetric int4 weights in groups of 128, activations in float8 by rows.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { configError } from './field.ts';
import { int4Packing } from './float-fields.ts';
import { type Int4PackingFormat, member } from './names.ts';

export interface Float8DynamicActivationInt4WeightConfig {
  readonly type: 'Float8DynamicActivationInt4WeightConfig';
  /** Either way the weight is kept plain and packed for the machine; torchao's two forms hold the same codes. */
  readonly int4PackingFormat: Int4PackingFormat;
}

export interface Float8DynamicActivationInt4WeightOptions {
  int4PackingFormat?: Int4PackingFormat;
  version?: number;
}

export const float8DynamicActivationInt4WeightSpec: ConfigSpec<Float8DynamicActivationInt4WeightConfig> =
  /*@__PURE__*/ configSpec({
    type: 'Float8DynamicActivationInt4WeightConfig',
    version: 1,
    fields: { int4PackingFormat: /*@__PURE__*/ field<string>(int4Packing, 'preshuffled') },
    check: ({ type, int4PackingFormat }) => {
      if (['PLAIN', 'PRESHUFFLED'].includes(member(int4PackingFormat))) return;
      throw configError(`${type}: int4PackingFormat is ${int4PackingFormat}`, "use 'plain' or 'preshuffled'");
    },
    scheme: () => 'float8dq-int4',
  });

export function float8DynamicActivationInt4Weight(
  options: Float8DynamicActivationInt4WeightOptions = {},
): Float8DynamicActivationInt4WeightConfig {
  return makeConfig(float8DynamicActivationInt4WeightSpec, { ...options });
}
