// torchao configs whose schemes live elsewhere: the codec can read and write them, so that a foreign config.json survives
// a round trip and quantize_ can name the extension that would handle it.
import { type AoConfig, type ConfigSpec, field } from './config.ts';
import { bool, int, optional } from './field.ts';

/** A config that the codec knows by its fields alone. */
export interface ForeignConfig extends AoConfig {
  readonly [field: string]: unknown;
}

const foreign = (type: string, version: number, fields: ConfigSpec['fields']): ConfigSpec<ForeignConfig> =>
  Object.freeze({ type, version, fields, scheme: () => type });

export const knownSpecs: readonly ConfigSpec<ForeignConfig>[] = /*@__PURE__*/ Object.freeze([
  /*@__PURE__*/ foreign('Int8DynamicActivationUIntxWeightConfig', 1, {
    groupSize: /*@__PURE__*/ field(int, 128),
    bitWidth: /*@__PURE__*/ field(int, 4),
    packingBitwidth: /*@__PURE__*/ field<number | null>(/*@__PURE__*/ optional(int), null),
    setInductorConfig: /*@__PURE__*/ field(bool, true),
  }),
]);
