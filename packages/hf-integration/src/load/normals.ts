// normals(n, std, seed, stream): n numbers of N(0, std^2), by Box and Muller from Philox's pairs: sqrt(-2 log u) cos(2 pi v), and sin.
import { philox } from '@ao/core';

/** `stream`: equal seeds give other numbers in another one. */
export function normals(n: number, std: number, seed: number, stream: number): Float32Array {
  const out = new Float32Array(n);
  for (let i = 0; i < n; i += 4) {
    const words = philox(seed, i / 4, stream);
    for (const half of [0, 2] as const) {
      const radius = std * Math.sqrt(-2 * Math.log((words[half] + 1) / 2 ** 32));
      const angle = (2 * Math.PI * words[half + 1]!) / 2 ** 32;
      out[i + half] = radius * Math.cos(angle);
      out[i + half + 1] = radius * Math.sin(angle);
    }
  }
  return out;
}
