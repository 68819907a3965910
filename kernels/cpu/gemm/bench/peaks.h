// What the machine can do, measured: bytes/s of reading memory, the best of several ways; and operations/s of independent
// instructions in registers, per kind of product: float32 fused multiply-adds, int8 dot products, bfloat16 pairs.
#pragma once
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>

#include "base/ctx.h"

namespace ao_bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Least seconds of `runs` calls.
template <class Fn>
double least_seconds(int runs, const Fn& fn) {
  double least = 1e9;
  for (int i = 0; i < runs; i++) {
    const double begin = now();
    fn();
    least = std::min(least, now() - begin);
  }
  return least;
}

typedef float Ymm __attribute__((vector_size(32)));
typedef float Zmm __attribute__((vector_size(64)));

__attribute__((target("avx2"), noinline)) inline float read_ymm(const char* p, int64_t bytes) {
  Ymm a[4] = {};
  for (int64_t i = 0; i < bytes; i += 128)
    for (int j = 0; j < 4; j++) a[j] += *(const Ymm*)(p + i + 32 * j);
  return a[0][0] + a[1][1] + a[2][2] + a[3][3];
}
__attribute__((target("avx2"), noinline)) inline float read_ymm_ahead(const char* p, int64_t bytes) {
  Ymm a[4] = {};
  for (int64_t i = 0; i < bytes; i += 128) {
    __builtin_prefetch(p + i + 8192);
    __builtin_prefetch(p + i + 8256);
    for (int j = 0; j < 4; j++) a[j] += *(const Ymm*)(p + i + 32 * j);
  }
  return a[0][0] + a[1][1] + a[2][2] + a[3][3];
}

// The best of 4 KB and huge pages, with and without prefetch, 1 to `threads` threads.
inline double read_bandwidth(int threads) {
  const int64_t bytes = (int64_t)512 << 20, chunk = 1 << 20;
  double best = 0;
  for (int advice : {MADV_NOHUGEPAGE, MADV_HUGEPAGE}) {
    char* data = (char*)aligned_alloc(1 << 21, bytes);
    madvise(data, bytes, advice);
    memset(data, 1, bytes);
    for (int count = 1; count <= threads; count++) {
      char err[256];
      ao_ctx* ctx = ao_ctx_create(count, nullptr, err, sizeof err);
      for (const auto read : {read_ymm, read_ymm_ahead}) {
        volatile float sink = 0;
        const double t = least_seconds(4, [&] {
          ao::parallel_for(ctx, bytes / chunk - 1, 4, [&](int64_t begin, int64_t end, int) {
            sink = read(data + begin * chunk, (end - begin) * chunk);
          });
        });
        best = std::max(best, (bytes - chunk) / t);
      }
      ao_ctx_destroy(ctx);
    }
    free(data);
  }
  return best;
}

#define AO_CHAINS(instruction, type, constraint)                                                                       \
  {                                                                                                                    \
    type a = {}, b = {}, c = {}, d = {}, e = {}, f = {}, g = {}, h = {}, i = {}, j = {}, k = {}, l = {}, x = {};       \
    for (int64_t round = 0; round < rounds; round++)                                                                   \
      asm volatile(instruction                                                                                         \
                   " %12, %12, %0\n" instruction " %12, %12, %1\n" instruction " %12, %12, %2\n" instruction           \
                   " %12, %12, %3\n" instruction " %12, %12, %4\n" instruction " %12, %12, %5\n" instruction           \
                   " %12, %12, %6\n" instruction " %12, %12, %7\n" instruction " %12, %12, %8\n" instruction           \
                   " %12, %12, %9\n" instruction " %12, %12, %10\n" instruction " %12, %12, %11"                       \
                   : constraint(a), constraint(b), constraint(c), constraint(d), constraint(e), constraint(f),         \
                     constraint(g), constraint(h), constraint(i), constraint(j), constraint(k), constraint(l)          \
                   : "v"(x));                                                                                          \
  }
__attribute__((target("avx2,fma"), noinline)) inline void fma_ymm(int64_t rounds) AO_CHAINS("vfmadd231ps", Ymm, "+x")
    __attribute__((target("avx512f"), noinline)) inline void fma_zmm(int64_t rounds) AO_CHAINS("vfmadd231ps", Zmm, "+v")
        __attribute__((target("avx512f"), noinline)) inline void vnni_zmm(int64_t rounds)
            AO_CHAINS("vpdpbusd", Zmm, "+v")
                __attribute__((target("avx512f"), noinline)) inline void pairs_zmm(int64_t rounds)
                    AO_CHAINS("vdpbf16ps", Zmm, "+v")
#undef AO_CHAINS

    // Operations/s of all threads of ctx; `each` operations per instruction.
    inline double peak(ao_ctx* ctx, void (*chains)(int64_t), int each) {
  const int64_t rounds = 1000000, threads = ao_ctx_threads(ctx);
  const double t =
      least_seconds(6, [&] { ao::parallel_for(ctx, threads, 1, [&](int64_t, int64_t, int) { chains(rounds); }); });
  return 12.0 * rounds * threads * each / t;
}

struct Peaks {
  double read, fma, vnni, pairs; // 0 where the machine lacks the instruction
};

inline Peaks measure_peaks(ao_ctx* ctx) {
  const bool wide = ao_ctx_isa(ctx) == AO_ISA_AVX512;
  return {read_bandwidth(ao_ctx_threads(ctx)), wide ? peak(ctx, fma_zmm, 32) : peak(ctx, fma_ymm, 16),
          wide ? peak(ctx, vnni_zmm, 128) : 0, wide ? peak(ctx, pairs_zmm, 64) : 0};
}

} // namespace ao_bench
