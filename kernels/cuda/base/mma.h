// The tensor cores of a warp and copies that run beside it, as functions on registers. Sources: PTX ISA, "Matrix fragments for mma.m16n8k16",
// "... m16n8k32", "ldmatrix", "cp.async". With g = lane / 4 and t = lane % 4 a lane holds
//   a[0] row g, a[1] row g + 8: columns 2 t and 2 t + 1 (m16n8k32: 4 t .. 4 t + 3); a[2], a[3]: the same rows, 8 (16) columns on
//   b[0] column g, rows 2 t and 2 t + 1 (4 t .. 4 t + 3); b[1]: 8 (16) rows on
//   d[0], d[1] row g, columns 2 t and 2 t + 1; d[2], d[3] row g + 8
// The emulated bodies compute the same from what the other lanes show.
#pragma once
#include "base/elements.h"

namespace ao {

#if defined(AO_EMULATE)
namespace emulated {
// d += a . b for `per` values in a register, value(register, i) each.
template <class D, class Value>
void mma(D (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], int per, const Value& value) {
  struct Held {
    uint32_t a[4], b[2];
  } const held{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const uint64_t* all = emulator::show(reinterpret_cast<uintptr_t>(&held));
  const auto of = [&](int lane) { return reinterpret_cast<const Held*>(all[lane]); };
  const int g = emulator::lane() / 4, t = emulator::lane() % 4;
  for (int i = 0; i < 4; i++)
    for (int half = 0; half < 2; half++)
      for (int q = 0; q < 4; q++) {
        const uint32_t x = of(g * 4 + q)->a[i / 2 + 2 * half], y = of((2 * t + i % 2) * 4 + q)->b[half];
        for (int j = 0; j < per; j++) d[i] += value(x, j) * value(y, j);
      }
  __syncwarp(); // before a lane's registers go
}
} // namespace emulated
#endif

__device__ inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(AO_EMULATE)
  emulated::mma(d, a, b, 2, [](uint32_t v, int j) { return ao_from_bf16(static_cast<uint16_t>(v >> 16 * j)); });
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ inline void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(AO_EMULATE)
  emulated::mma(d, a, b, 2, [](uint32_t v, int j) { return ao_from_f16(static_cast<uint16_t>(v >> 16 * j)); });
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// m16n8k32
__device__ inline void mma_s8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(AO_EMULATE)
  emulated::mma(d, a, b, 4, [](uint32_t v, int j) { return static_cast<int32_t>(static_cast<int8_t>(v >> 8 * j)); });
#else
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

#if !defined(AO_EMULATE)
__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
#endif

// Four 8 x 8 matrices of 16-bit values: lane 8 i + r gives the address of row r of matrix i (16 bytes, aligned); r[i] is then row
// lane / 4, columns 2 (lane % 4) and the next, of matrix i; transposed: of its transpose.
template <bool transposed = false>
__device__ inline void ldmatrix(uint32_t (&r)[4], const void* row) {
#if defined(AO_EMULATE)
  const uint64_t* rows = emulator::show(reinterpret_cast<uintptr_t>(row));
  const int g = emulator::lane() / 4, t = emulator::lane() % 4;
  for (int i = 0; i < 4; i++) {
    uint32_t v = 0;
    for (int j = 0; j < 2; j++) {
      const int down = transposed ? 2 * t + j : g, across = transposed ? g : 2 * t + j;
      v |= static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(rows[8 * i + down])[across]) << 16 * j;
    }
    r[i] = v;
  }
  __syncwarp();
#else
  if constexpr (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}

// 16 aligned bytes to shared memory, past the first cache; zeros where `there` is false (`from` is any address then). What a thread
// started before a commit is a batch: copy_async_wait<n> waits until all but its last n batches have come. Others see them after a barrier.
__device__ inline void copy_async(void* to, const void* from, bool there = true) {
#if defined(AO_EMULATE)
  if (there)
    memcpy(to, from, 16);
  else
    memset(to, 0, 16);
#else
  const int bytes = there ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
#endif
}
__device__ inline void copy_async_commit() {
#if !defined(AO_EMULATE)
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int batches>
__device__ inline void copy_async_wait() {
#if !defined(AO_EMULATE)
  asm volatile("cp.async.wait_group %0;" ::"n"(batches) : "memory");
#endif
}

// x * y + z for two bfloat16s in a register, each rounded once.
__device__ inline uint32_t fma_bf16x2(uint32_t x, uint32_t y, uint32_t z) {
#if defined(AO_EMULATE)
  uint32_t out = 0;
  for (int j = 0; j < 2; j++) {
    const auto at = [&](uint32_t v) { return ao_from_bf16(static_cast<uint16_t>(v >> 16 * j)); };
    out |= static_cast<uint32_t>(ao_to_bf16(fmaf(at(x), at(y), at(z)))) << 16 * j;
  }
  return out;
#else
  uint32_t d;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(x), "r"(y), "r"(z));
  return d;
#endif
}

// Two floats as bfloat16s, x in the low half.
__device__ inline uint32_t pack_bf16x2(float x, float y) {
#if defined(AO_EMULATE)
  return ao_to_bf16(x) | static_cast<uint32_t>(ao_to_bf16(y)) << 16;
#else
  uint32_t d;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(y), "f"(x));
  return d;
#endif
}

} // namespace ao
