// base/mma.h against sums written out: products of a warp, loads of matrices.
#include "base/mma.h"

#include <stdio.h>

#include <vector>

namespace {

int passed = 0, failed = 0;

void expect(bool good, const char* what) {
  (good ? passed : failed)++;
  if (!good) printf("FAILED: %s\n", what);
}

struct Values {
  uint16_t a[16][16], b[8][16]; // bfloat16; b by columns
  int8_t i[16][32], j[8][32];
  float d[16][8];
  int32_t e[16][8];
};

__global__ void products(Values* v) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  __shared__ __align__(16) uint16_t matrix[16][16];
  for (int i = threadIdx.x; i < 256; i += 32) matrix[i / 16][i % 16] = v->a[i / 16][i % 16];
  __syncwarp();
  uint32_t a[4], b[2], whole[4], part[2];
  ao::ldmatrix(a, &matrix[threadIdx.x % 16][threadIdx.x / 16 * 8]);
  for (int h = 0; h < 2; h++) {
    b[h] = v->b[g][2 * t + 8 * h] | static_cast<uint32_t>(v->b[g][2 * t + 8 * h + 1]) << 16;
    memcpy(&part[h], &v->j[g][4 * t + 16 * h], 4);
    for (int r = 0; r < 2; r++) memcpy(&whole[r + 2 * h], &v->i[g + 8 * r][4 * t + 16 * h], 4);
  }
  float d[4] = {};
  int32_t e[4] = {};
  ao::mma_bf16(d, a, b);
  ao::mma_s8(e, whole, part);
  for (int i = 0; i < 4; i++) {
    v->d[g + i / 2 * 8][2 * t + i % 2] = d[i];
    v->e[g + i / 2 * 8][2 * t + i % 2] = e[i];
  }
}

} // namespace

int main() {
  Values* v;
  cudaStream_t stream;
  if (cudaStreamCreateWithFlags(&stream, 0) != cudaSuccess) {
    printf("skipped: there is no GPU\n");
    return 77;
  }
  std::vector<Values> host(1);
  Values& h = host[0];
  for (int r = 0; r < 16; r++)
    for (int k = 0; k < 32; k++) {
      if (k < 16) h.a[r][k] = ao_to_bf16(static_cast<float>((r * 7 + k * 3) % 11 - 5));
      h.i[r][k] = static_cast<int8_t>(r * 37 + k * 11);
      if (k < 16 && r < 8) h.b[r][k] = ao_to_bf16(static_cast<float>((r * 5 + k * 2) % 13 - 6));
      if (r < 8) h.j[r][k] = static_cast<int8_t>(r * 91 + k * 5);
    }
  cudaMalloc(reinterpret_cast<void**>(&v), sizeof h);
  cudaMemcpyAsync(v, &h, sizeof h, cudaMemcpyHostToDevice, stream);
#if defined(AO_EMULATE)
  emulator::launch(stream, 1, 32, 0, [=] { products(v); });
#else
  products<<<1, 32, 0, stream>>>(v);
#endif
  cudaMemcpyAsync(&h, v, sizeof h, cudaMemcpyDeviceToHost, stream);
  cudaStreamSynchronize(stream);
  bool floats = true, integers = true;
  for (int r = 0; r < 16; r++)
    for (int c = 0; c < 8; c++) {
      float d = 0;
      int32_t e = 0;
      for (int k = 0; k < 16; k++) d += ao_from_bf16(h.a[r][k]) * ao_from_bf16(h.b[c][k]);
      for (int k = 0; k < 32; k++) e += h.i[r][k] * h.j[c][k];
      floats = floats && h.d[r][c] == d;
      integers = integers && h.e[r][c] == e;
    }
  expect(floats, "m16n8k16 of bfloat16, its first side by ldmatrix");
  expect(integers, "m16n8k32 of int8");
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
