// Reading the rows of a cache, floats or codes: keys as columns, values as vectors. Codes are left without their row's scale.
#pragma once
#include "base/simd_map.h"
#include "base/simd_transpose.h"
#include "ops/sdpa.h"

namespace ao {
namespace AO_ISA_NS {

constexpr int64_t stored_size(int kind) { return kind == AO_F32 ? 4 : kind >= kCodes8 ? 1 : 2; }

// Reading bytes at `p` now and those `ahead` of it soon; 0 = none.
static inline void fetch(const void* p, int64_t ahead) { __builtin_prefetch((const char*)p + ahead, 0, 2); }

// out[i][j] = k[j][i], i < dim, for the vectors of keys that cover from <= j < to <= kBlock; keys outside repeat one
// within.
template <int d>
static void transpose_keys(const void* k, int64_t stride, int64_t dim, int from, int to, int64_t ahead, float* out) {
  for (int j = from / AO_W * AO_W; j < to; j += AO_W) {
    int64_t key[AO_W], i = 0;
    for (int c = 0; c < AO_W; c++) key[c] = (j + c < from ? from : j + c < to ? j + c : to - 1) * stride;
    vf t[AO_W];
#if AO_ISA_LEVEL == 2
    constexpr int wide =
        d == AO_BF16 ? 2 * AO_W : AO_W; // elements of a vector as it is stored: bfloat16 has two a lane
    for (; d != AO_F16 && i + wide <= dim; i += wide) {
      const char* row[AO_W];
      for (int c = 0; c < AO_W; c++) {
        row[c] = (const char*)k + (key[c] + i) * (d == AO_F32 ? 4 : 2);
        fetch(row[c], ahead);
      }
      for (int c = 0; c < AO_W / 4; c++) {
        vf four[4];
        gather4(row, c, four);
        for (int q = 0; q < 4; q++) {
          float* to = out + (i + (4 * c + q) * (wide / AO_W)) * kBlock + j;
          if (d == AO_F32) {
            store(to, four[q]);
          } else {
            store(to, (vf)((vi)four[q] << 16));
            store(to + kBlock, (vf)((vi)four[q] & set1i(-65536)));
          }
        }
      }
    }
#else
    if (d == AO_BF16) { // two elements a lane
      for (; i + 2 * AO_W <= dim; i += 2 * AO_W) {
        for (int c = 0; c < AO_W; c++) {
          memcpy(&t[c], (const uint16_t*)k + key[c] + i, sizeof t[c]);
          fetch((const uint16_t*)k + key[c] + i, ahead);
        }
        transpose(t);
        for (int c = 0; c < AO_W; c++) {
          store(out + (i + 2 * c) * kBlock + j, (vf)((vi)t[c] << 16));
          store(out + (i + 2 * c + 1) * kBlock + j, (vf)((vi)t[c] & set1i(-65536)));
        }
      }
    }
#endif
    for (; i < dim; i += AO_W) {
      const int count = dim - i < AO_W ? (int)(dim - i) : AO_W;
      for (int c = 0; c < AO_W; c++) {
        t[c] = load_as(d, k, key[c] + i, count);
        fetch((const char*)k + (key[c] + i) * (d == AO_F32 ? 4 : 2), ahead);
      }
      transpose(t);
      for (int c = 0; c < count; c++) store(out + (i + c) * kBlock + j, t[c]);
    }
  }
}

// The words of `kChunk` bytes of AO_W rows, from byte `at`: lane j of t[i] has bytes 4 i .. 4 i + 3 of row j.
#if AO_ISA_LEVEL == 2
constexpr int kChunk = 16;
static inline void row_words(const char* const row[AO_W], int at, vf t[kChunk / 4]) { gather4(row, at / kChunk, t); }
#else
constexpr int kChunk = 4 * AO_W;
static inline void row_words(const char* const row[AO_W], int at, vf t[kChunk / 4]) {
  for (int c = 0; c < AO_W; c++) memcpy(&t[c], row[c] + at, sizeof t[c]);
  transpose(t);
}
#endif

// The first `count` bytes of words as codes: that of byte i becomes row i of `out`; high halves of bytes row i + half.
template <int d>
static inline void spread_codes(const vf words[kChunk / 4], int count, int64_t half, float* out) {
  for (int i = 0; i < count; i++) {
    const vi w = (vi)words[i / 4];
    const int b = 8 * (i % 4);
    float* row = out + i * kBlock;
    if (d == kCodes8) {
      store(row, to_float(b == 24 ? w >> 24 : w << (24 - b) >> 24));
    } else {
      store(row, to_float((b == 0 ? w : w >> b) & set1i(15)));
      store(row + half * kBlock, to_float(b == 24 ? (vi)((vu)w >> 28) : w >> (b + 4) & set1i(15)));
    }
  }
}

// transpose_keys of codes, for the keys before `to`.
template <int d>
static void transpose_codes(const void* k, int64_t stride, int64_t dim, int to, int64_t ahead, float* out) {
  constexpr int line = d == kCodes8 ? 64 : 32; // bytes
  const int64_t bytes = d == kCodes8 ? dim : dim / 2, half = dim / 2;
  for (int j = 0; j < to; j += AO_W) {
    const char* row[AO_W];
    for (int c = 0; c < AO_W; c++) row[c] = (const char*)k + (j + c < to ? j + c : to - 1) * stride;
    vf words[kChunk / 4];
    int64_t i = 0;
    for (; i + line <= bytes; i += line) {
      for (int c = 0; c < AO_W; c++) fetch(row[c], ahead);
      for (int at = 0; at < line; at += kChunk) {
        row_words(row, at, words);
        spread_codes<d>(words, kChunk, half, out + (i + at) * kBlock + j);
      }
      for (int c = 0; c < AO_W; c++) row[c] += line;
    }
    for (; i < bytes; i += kChunk) {
      char rest[AO_W][kChunk] = {};
      const char* part[AO_W];
      const int count = bytes - i < kChunk ? (int)(bytes - i) : kChunk;
      for (int c = 0; c < AO_W; c++) {
        part[c] = (const char*)memcpy(rest[c], row[c], (size_t)count);
        row[c] += count;
      }
      row_words(part, 0, words);
      spread_codes<d>(words, count, half, out + i * kBlock + j);
    }
  }
}

static inline vi widen_i8(const void* p) {
#if AO_ISA_LEVEL == 2
  return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p));
#elif AO_ISA_LEVEL == 1
  return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p));
#else
  typedef int8_t bytes __attribute__((vector_size(AO_W)));
  bytes b;
  memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, vi);
#endif
}

// fn(tag) with tag.dtype what the rows hold.
template <class Fn>
static inline void by_kind(int kind, const Fn& fn) {
  if (kind == kCodes8)
    fn(DtypeTag<kCodes8>());
  else if (kind == kCodes4)
    fn(DtypeTag<kCodes4>());
  else
    by_dtype(kind, fn);
}

// n values of a row from column `column`; of 4 bits, `half` are low halves of bytes and no vector lies in both.
template <int d>
static inline vf load_stored(const void* row, int64_t column, int64_t half, int n) {
  if (d < kCodes8) return load_as(d, row, column, n);
  const bool high = d == kCodes4 && column >= half;
  const char* p = (const char*)row + (high ? column - half : column);
  char rest[AO_W] = {};
  if (n < AO_W) p = (const char*)memcpy(rest, p, (size_t)n);
  const vi c = widen_i8(p);
  return to_float(d == kCodes8 ? c : (high ? c >> 4 : c) & set1i(15));
}

// `count` rows of x as float32, `padded` apart with zeros behind `dim`.
template <int d>
static void widen_rows(const void* x, int64_t stride, int64_t dim, int64_t padded, int count, float* room) {
  const int64_t half = dim / 2;
  for (int j = 0; j < count; j++) {
    const char* from = (const char*)x + j * stride * stored_size(d);
    float* row = room + j * padded;
    for (int64_t part = 0; d == kCodes4 && part < 2; part++) // a vector lies in one half
      steps(half, [&](int64_t i, int n) {
        store_n(row + part * half + i, load_stored<d>(from, part * half + i, half, n), n);
      });
    if (d != kCodes4) steps(dim, [&](int64_t i, int n) { store_n(row + i, load_stored<d>(from, i, half, n), n); });
    for (int64_t i = dim; i < padded; i++) row[i] = 0;
  }
}

// s and, where there is one, m of the rows [first, last) of codes; zeros up to a whole vector.
static void load_scales(CodeRows rows, const char* x, int64_t stride, int first, int last, float* s, float* m) {
  for (int j = first; j < last; j++) memcpy(s + j, x + j * stride, sizeof *s);
  for (int j = last; j % AO_W; j++) s[j] = m[j] = 0;
  if (rows.asymmetric)
    for (int j = first; j < last; j++) memcpy(m + j, x + j * stride + 4, sizeof *m);
  else if (rows.bits == 4)
    for (int j = first; j < last; j++) m[j] = -8 * s[j];
}
static inline bool shifted(CodeRows rows) { return rows.bits == 4 || rows.asymmetric; }

} // namespace AO_ISA_NS
} // namespace ao
