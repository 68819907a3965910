// --kv-cache: what keys and values are kept in, one format or "keys,values".
import type { KVCacheFormat } from '@ao/hf-integration';
import { InvalidArgumentError, Option } from 'commander';

const FORMATS = ['auto', 'bf16', 'int8', 'int8-asym', 'int4', 'int4-asym'] as const;
type Format = (typeof FORMATS)[number];

export const kvCache = (): Option =>
  new Option('--kv-cache <format>', `keys and values: ${FORMATS.join(', ')}, or two of them: keys,values`).argParser(
    parse,
  );

function parse(text: string): KVCacheFormat {
  const [keys, values = keys, ...rest] = text.split(',') as Format[];
  if (rest.length > 0 || ![keys, values].every((f) => FORMATS.includes(f as Format)))
    throw new InvalidArgumentError(`It must be one of ${FORMATS.join(', ')}, or two of them: int8-asym,int4.`);
  return keys === values ? (keys as Format) : { keys: keys as Format, values: values as Format };
}
