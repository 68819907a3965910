// What autoquant measures unless told otherwise; leaving a weight as it is always is a candidate. Extend it by a spread:
// autoquant(model, { candidates: [...autoquantCandidates(), float8WeightOnly()] }).
import type { AoConfig } from '../config/config.ts';
import { parseScheme } from '../config/scheme.ts';

const SCHEMES = [
  'int8wo',
  'int8wo:int8-group',
  'int8dq',
  'int4wo-32',
  'int4wo-128',
  'int4wo-32:int8-group',
  'int4wo-128:int8-group',
  'int4wo-hqq-32',
  'int4wo-hqq-32:int8-group',
  '8da4w-32',
] as const;

export const autoquantCandidates = (): readonly AoConfig[] => SCHEMES.map((scheme) => parseScheme(scheme));
