import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { matMulNBitsModel } from './onnx-model.ts';
import { PEERS } from './peers/where.ts';

const there = existsSync(PEERS.ort);

test.skipIf(!there)(`ONNX Runtime runs it, whatever the rounds${there ? '' : ': pnpm bench peers ort'}`, async () => {
  const { InferenceSession, Tensor } = createRequire(import.meta.url)(PEERS.ort);
  const [m, n, k, block] = [2, 3, 64, 32];
  const x = Float32Array.from({ length: m * k }, (_, i) => Math.cos(i));
  for (const zeroPoints of [false, true]) {
    const session = await InferenceSession.create(matMulNBitsModel({ m, n, k, block, zeroPoints }, 0));
    for (const rounds of [1n, 3n]) {
      const feeds = { x: new Tensor('float32', x, [m, k]), rounds: new Tensor('int64', [rounds], []) };
      const { y } = await session.run(feeds);
      // the model's own pattern: byte i of codes is 97 i + (i >> 7); scales 0.01; zero points 8, or by the pattern
      const byte = (i: number): number => (i * 97 + (i >> 7)) & 255;
      const nibble = (i: number): number => (i % 2 ? byte(i >> 1) >> 4 : byte(i >> 1) & 15);
      const expected = Array.from({ length: m * n }, (_, at) => {
        const [row, column] = [Math.floor(at / n), at % n];
        let sum = 0;
        for (let i = 0; i < k; i++) {
          const zero = zeroPoints ? nibble(column * (k / block) + Math.floor(i / block)) : 8;
          sum += x[row * k + i]! * 0.01 * (nibble(column * k + i) - zero);
        }
        return sum;
      });
      (y.data as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
    }
  }
});
