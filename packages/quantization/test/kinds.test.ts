import {
  bfloat16,
  cast,
  clone,
  createRuntime,
  dequantize,
  linear,
  type Runtime,
  slice,
  type Tensor,
  tensor,
} from '@ao/core';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type AoConfig,
  computeError,
  int4Kind,
  int8Kind,
  int8StaticActivationInt8Weight,
  parseScheme,
  perRow,
  perTensor,
  quantization,
  quantizeTensor,
} from '../src/index.ts';
import { matrix, wave } from './model.ts';

let rt: Runtime;
beforeEach(async () => {
  rt = await createRuntime({ use: [quantization()] });
});

describe('kinds', () => {
  const configs: [string, AoConfig][] = [
    'int8wo',
    'int8wo-32',
    'int8wo-tensor',
    'int8dq',
    'int4wo-32',
    'intx4-asym-32',
    'intx3-sym',
    '8da4w-32',
  ].map((name) => [name, parseScheme(name)]);

  it.each(configs)('%s: clone and slices equal slices of the values', (_name, config) => {
    const w = quantizeTensor(matrix(rt, 12, 96, 1), config);
    const values = (t: Tensor): number[] => Array.from(t.dataSync());
    const copy = clone(w);
    expect(values(copy)).toEqual(values(w));
    const dense = dequantize(w);
    expect(values(slice(w, 0, 4, 9))).toEqual(values(slice(dense, 0, 4, 9)));
    expect(values(slice(w, 1, 32, 96))).toEqual(values(slice(dense, 1, 32, 96)));
    const part = slice(w, 0, -3);
    w.dispose();
    expect(part.dataSync()).toHaveLength(3 * 96);
    const x = tensor(rt, wave(96, 7), { shape: [1, 96] });
    expect(linear(x, part).dataSync()).toHaveLength(3);
    expect(copy.dataSync()).toHaveLength(12 * 96);
  });

  it('refuse slices that cut groups', () => {
    const w = quantizeTensor(matrix(rt, 4, 96, 1), parseScheme('int4wo-32'));
    expect(() => slice(w, 1, 0, 40)).toThrow('cuts through blocks of 32');
    expect(() => slice(w, 0, 0, 4, 2)).toThrow('step 1');
  });

  it.each(configs)('%s: the packed form gives the plain bytes back', (_name, config) => {
    const w = quantizeTensor(matrix(rt, 6, 64, 2), config);
    const kind = w.kind as NonNullable<Tensor['kind']>;
    const parts = kind.spec.weight?.(w as never);
    expect(parts).not.toBeNull();
    const back = kind.fromWeight(parts as NonNullable<typeof parts>, w);
    const before = (w as unknown as { parts: Record<string, Tensor> }).parts;
    for (const [name, t] of Object.entries(back)) {
      expect([name, t.shape, Array.from(t.bitsSync())]).toEqual([
        name,
        before[name]?.shape,
        Array.from(before[name]?.bitsSync() ?? []),
      ]);
    }
    expect(parts?.format).toMatchObject({ N: 6, K: 64 });
  });

  it('say how the activation is read', () => {
    const weightOf = (config: AoConfig) => {
      const w = quantizeTensor(matrix(rt, 4, 64, 1), config);
      return w.kind?.spec.weight?.(w as never);
    };
    const formatOf = (config: AoConfig): string | undefined => weightOf(config)?.format.activation;
    expect(formatOf(parseScheme('int8dq'))).toBe('int8-token');
    expect(formatOf(parseScheme('int8dq-asym'))).toBe('int8-token-asym');
    expect(formatOf(parseScheme('8da4w-32'))).toBe('int8-token-asym');
    expect(formatOf(parseScheme('int4wo-32:int8-group'))).toBe('int8-group');
    expect(formatOf(parseScheme('intx4-32'))).toBe('exact');
    const tokens = (scheme: string) => weightOf(parseScheme(scheme))?.format.tokens;
    expect(tokens('int8dq')).toBeUndefined();
    expect(tokens('int8dq-act_tensor')).toEqual({ oneScale: true, reducedRange: false, exactRow: false });
    expect(tokens('int8dq-reduce_range-exact_row')).toEqual({ oneScale: false, reducedRange: true, exactRow: true });
    const granularity = [perTensor(), perRow()] as const;
    const fixed = weightOf(int8StaticActivationInt8Weight({ actQuantScale: [[0.02]], granularity }));
    expect(fixed).toMatchObject({ format: { activation: 'int8-token', tokens: { oneScale: true } } });
    expect(fixed?.actScale?.dataSync()[0]).toBeCloseTo(0.02, 6);
    const byRows = weightOf(int8StaticActivationInt8Weight({ actQuantScale: [[0.02], [0.03]] }));
    expect(byRows).toMatchObject({ format: { activation: 'int8-token', tokens: { rowScales: true } } });
  });

  it('keep act_pre_scale: the activation is multiplied first', () => {
    const w = matrix(rt, 4, 64, 1);
    const pre = tensor(
      rt,
      wave(64, 9).map((v) => v + 1),
    );
    const x = tensor(rt, wave(128, 3), { shape: [2, 64] });
    const scaled = tensor(
      rt,
      Float32Array.from(x.dataSync(), (v, i) => v * (pre.dataSync()[i % 64] as number)),
      { shape: [2, 64] },
    );
    for (const scheme of ['int8wo', 'int8dq', 'int4wo-32']) {
      const q = quantizeTensor(w, parseScheme(scheme)) as ReturnType<typeof int8Kind.make>;
      const kind = scheme === 'int4wo-32' ? int4Kind : int8Kind;
      const smooth = kind.make({ ...q.parts, act_pre_scale: pre } as never, q.attrs as never, q.shape, q.dtype);
      const error = linear(x, smooth)
        .dataSync()
        .map((v, i) => Math.abs(v - (linear(scaled, q).dataSync()[i] as number)));
      expect(Math.max(...error)).toBeLessThan(2e-5);
      expect(kind.spec.weight?.(smooth as never)?.inputScale).toBe(smooth.parts['act_pre_scale']);
    }
  });

  it('take bfloat16 weights and answers of any rank', async () => {
    const w = cast(matrix(rt, 8, 64, 1), bfloat16);
    const x = cast(tensor(rt, wave(2 * 3 * 64, 2), { shape: [2, 3, 64] }), bfloat16);
    for (const scheme of ['int8wo', 'int8dq-asym', 'int4wo-64', '8da4w-32', 'int8dq-tensor']) {
      const y = linear(x, quantizeTensor(w, parseScheme(scheme)));
      expect([y.shape, y.dtype.name]).toEqual([[2, 3, 8], 'bfloat16']);
      expect(await computeError(cast(linear(x, w), bfloat16), y), scheme).toBeGreaterThan(12);
    }
  });
});
