// The extension of this package: how upcast weights are read.
import type { Extension } from '@ao/core';
import { upcastEntries } from './upcast.ts';

export function hfIntegration(): Extension {
  return { name: '@ao/hf-integration', entries: upcastEntries() };
}
