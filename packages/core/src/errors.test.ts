import { describe, expect, it } from 'vitest';
import { AoError, isAoError } from './errors.ts';

describe('AoError', () => {
  it('reads as one sentence of where and what, and one of the fix', () => {
    const e = new AoError('ERR_AO_SHAPE', 'weight has 3 columns, x has 4', {
      op: 'linear',
      module: 'layers.0.q_proj',
      tensor: 'weight',
      fix: 'transpose the weight',
    });
    expect(e.message).toBe(
      'linear: weight has 3 columns, x has 4 (module layers.0.q_proj, tensor weight). Fix: transpose the weight.',
    );
    expect({ ...e }).toMatchObject({ code: 'ERR_AO_SHAPE', op: 'linear', fix: 'transpose the weight' });
    expect(`${new AoError('ERR_AO_KERNEL', 'no kernel')}`).toBe('AoError: no kernel');
    expect('op' in new AoError('ERR_AO_KERNEL', 'no kernel')).toBe(false);
  });

  it('is told apart by code, across copies of the class', () => {
    const foreign = Object.assign(new Error('x'), { code: 'ERR_AO_FORMAT' });
    expect(isAoError(foreign)).toBe(true);
    expect(isAoError(foreign, 'ERR_AO_FORMAT')).toBe(true);
    expect(isAoError(foreign, 'ERR_AO_SHAPE')).toBe(false);
    expect([null, undefined, 'ERR_AO_FORMAT', new Error('x'), { code: 'ENOENT' }].some((x) => isAoError(x))).toBe(
      false,
    );
  });
});
