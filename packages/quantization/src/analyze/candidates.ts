// Weight-only configs from 2 to 8 bits, of which mixed configs are made unless others are given.
import type { AoConfig } from '../config/config.ts';
import { parseScheme } from '../config/scheme.ts';

const SCHEMES = [
  'intx2-asym-32',
  'intx3-asym-64',
  'intx3-asym-32',
  'int4wo-128',
  'int4wo-64',
  'int4wo-32',
  'intx5-sym-64',
  'intx6-sym-64',
  'int8wo',
] as const;

export const mixCandidates = (): readonly AoConfig[] => SCHEMES.map((scheme) => parseScheme(scheme));
