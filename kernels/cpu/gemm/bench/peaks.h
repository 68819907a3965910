// What the machine can do with the threads of a context, measured: bytes/s of reading 256 MiB, and float32 operations/s of
// independent fused multiply-adds.
#pragma once
#include <chrono>
#include <vector>

#include "base/ctx.h"

namespace ao {

typedef float BenchVector __attribute__((vector_size(32)));

__attribute__((target("avx2,fma"), noinline)) inline float read_all(const char* p, int64_t bytes) {
  BenchVector a[4] = {};
  for (int64_t i = 0; i < bytes; i += 128)
    for (int j = 0; j < 4; j++) a[j] += *(const BenchVector*)(p + i + 32 * j);
  return a[0][0] + a[1][1] + a[2][2] + a[3][3];
}

__attribute__((target("avx2,fma"), noinline)) inline float fma_all(int64_t rounds) {
  const BenchVector x = {1e-9f}, y = {1e-9f};
  BenchVector a = {}, b = {}, c = {}, d = {}, e = {}, f = {}, g = {}, h = {}, i = {}, j = {}, k = {}, l = {};
  for (int64_t round = 0; round < rounds; round++) {
#define AO_FMA(v) asm volatile("vfmadd231ps %1, %2, %0" : "+x"(v) : "x"(x), "x"(y));
    AO_FMA(a)
    AO_FMA(b) AO_FMA(c) AO_FMA(d) AO_FMA(e) AO_FMA(f) AO_FMA(g) AO_FMA(h) AO_FMA(i) AO_FMA(j) AO_FMA(k) AO_FMA(l)
#undef AO_FMA
  }
  return (a + b + c + d + e + f + g + h + i + j + k + l)[0];
}

template <class Fn>
inline double seconds_per_run(const Fn& fn) {
  double least = 1e9;
  for (int i = 0; i < 12; i++) {
    const auto begin = std::chrono::steady_clock::now();
    fn();
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return least;
}

inline double read_bandwidth(ao_ctx* ctx) {
  const int64_t bytes = (int64_t)256 << 20, chunk = 1 << 20;
  char* data = (char*)aligned_alloc(64, bytes);
  memset(data, 0, bytes);
  volatile float sink = 0;
  const double t = seconds_per_run([&] {
    parallel_for(ctx, bytes / chunk, 4, [&](int64_t begin, int64_t end, int) {
      sink = read_all(data + begin * chunk, (end - begin) * chunk);
    });
  });
  free(data);
  return bytes / t;
}

inline double fma_peak(ao_ctx* ctx) {
  const int64_t rounds = 2000000, tasks = ao_ctx_threads(ctx);
  volatile float sink = 0;
  const double t =
      seconds_per_run([&] { parallel_for(ctx, tasks, 1, [&](int64_t, int64_t, int) { sink = fma_all(rounds); }); });
  return 2.0 * 8 * 12 * rounds * tasks / t;
}

} // namespace ao
