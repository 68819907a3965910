import { expect, test } from 'vitest';
import { measurement } from './kernels.ts';

const text = `a line for people
{"id":"gemv-int4-g128-8192","what":"GEMV","form":"int8-group","threads":2,"value":20,"unit":"GB/s"}
{"id":"gemv-int4-8192","what":"GEMV, 8192 x 8192 out of cache, int4 g32","form":"int8-group","threads":2,"value":22.1,"unit":"GB/s","limit":"read bandwidth","limitValue":26.2,"share":0.84,"target":0.85}
`;

test('a line of the native benchmark becomes a row with its limit and target', () => {
  expect(measurement(text, 'gemv-int4-8192')).toEqual({
    id: 'gemv-int4-8192',
    what: 'GEMV, 8192 x 8192 out of cache, int4 g32',
    form: 'int8-group',
    ours: 22.1,
    unit: 'GB/s',
    limit: { name: 'read bandwidth', value: 26.2 },
    target: { kind: 'share', value: 0.85 },
  });
});

test('a machine without the instructions has no limit; a benchmark without the row is an error', () => {
  expect(measurement(text, 'gemv-int4-g128-8192')).not.toHaveProperty('limit');
  expect(() => measurement(text, 'gemm')).toThrow('printed no gemm');
});
