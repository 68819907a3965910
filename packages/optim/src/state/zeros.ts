// New state for a parameter: zeros, as codes where the parameter is large and made of whole blocks (torchao's rule of 4,096).
import { type Dense, float8_e4m3fn, float32, reshape, type Tensor, tensor, uint8, zeros } from '@ao/core';
import { qmapOf } from './qmap.ts';
import { optimState4bitKind, optimState8bitKind, optimStateFp8Kind, type StateTensor } from './state-kinds.ts';

/** How moments are kept: in the parameter's dtype, or in codes. */
export type StateForm = 'plain' | '8bit' | '4bit' | 'fp8';

/** Values below which a parameter's state is not quantized. */
export const MIN_QUANTIZED = 4096;

const maps = /*@__PURE__*/ new WeakMap<object, Map<string, Dense>>();

/** A view of the one map of a device: states share its bytes. */
function sharedMap(p: Tensor, bits: 8 | 4, signed: boolean): Tensor {
  const backend = p.rt.backend(p.device);
  const known = maps.get(backend) ?? new Map<string, Dense>();
  maps.set(backend, known);
  const key = `${bits} ${signed}`;
  const map = known.get(key) ?? tensor(p.rt, qmapOf(bits, signed), { device: p.device });
  map.kept = true;
  known.set(key, map);
  return reshape(map, [-1]);
}

/** Zeros for a moment of p. */
export function stateZeros(p: Tensor, form: StateForm, blockSize: number, signed: boolean): StateTensor {
  const { rt, device, shape, dtype, numel: n } = p;
  if (form === 'plain' || n < MIN_QUANTIZED || n % blockSize !== 0) return zeros(rt, shape, { dtype, device });
  const scale = zeros(rt, [n / blockSize], { device });
  const attrs = { blockSize, signed: form === 'fp8' || signed };
  if (form === 'fp8') {
    // float8 zeros are the byte 0
    const codes = zeros(rt, shape, { dtype: float8_e4m3fn, device });
    return optimStateFp8Kind.make({ codes, scale }, attrs, shape, dtype);
  }
  const codes = zeros(rt, form === '8bit' ? shape : [n / 2], { dtype: uint8, device });
  const qmap = sharedMap(p, form === '8bit' ? 8 : 4, signed);
  const kind = form === '8bit' ? optimState8bitKind : optimState4bitKind;
  return kind.make({ codes, scale, qmap }, attrs, shape, dtype);
}

/** Zero of one element for counters: float32. */
export const counter = (p: Tensor): Dense => zeros(p.rt, [], { dtype: float32, device: p.device });
