// float8 of training, of a matrix x [rows, cols] (contiguous): scales by the tensor, by rows or by columns, codes, and back.
//   s = largest / max(amax, 1e-12) in double, then float, rounded down to a power of two where asked;  q = saturate(x s);  v = q / s
// A row's amax and codes are one pass over it, those of columns and of the whole two. Turned codes are codes turned.
#include "ops/float8.h"

#include <string.h>

#include <algorithm>
#include <atomic>

#include "ops/check.h"
#include "ops/convert.h"

namespace {

enum Axis { ALL, ROWS, COLUMNS };
constexpr int64_t kDivides = 2; // pow2: scales of quantization, amax / largest in x's dtype, codes of x / scale

int check(ao_ctx* ctx, const char* op, int64_t f8, int64_t axis) {
  if (f8 != AO_F8E4M3 && f8 != AO_F8E5M2)
    return ao_fail(ctx, "%s: codes are %s; they are float8_e4m3fn or float8_e5m2", op, ao_dtype_name(f8));
  if (axis < ALL || axis > COLUMNS)
    return ao_fail(ctx, "%s: axis %lld; it is 0, 1 or 2", op, static_cast<long long>(axis));
  return 0;
}

float scale_of(int32_t bits, int64_t f8, bool pow2) {
  const double amax = ao_float(static_cast<uint32_t>(bits)), largest = f8 == AO_F8E4M3 ? 448 : 57344;
  const float scale = static_cast<float>(largest / (amax < 1e-12 ? 1e-12 : amax));
  return pow2 && scale == scale ? ao_float(ao_bits(scale) & 0x7f800000u) : scale;
}

} // namespace

// Codes of rows by scales of quantization; a row of zeros has scale 0 and codes 0.
static int quantized_rows(const ao_to_float8_args* a, ao_ctx* ctx) {
  const auto peak = AO_ISA_PICK(ctx, float8_peak);
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->cols), [&](int64_t begin, int64_t end, int) {
    const float largest = a->f8 == AO_F8E4M3 ? 448 : 57344;
    for (int64_t r = begin; r < end; r++) {
      const int32_t most = peak(a->dtype, ao::element(a->x, a->dtype, r * a->cols), a->cols, 0);
      float* scale = static_cast<float*>(a->scale) + r;
      ao::store_scalar(a->dtype, scale, 0, ao_float(static_cast<uint32_t>(most)) / largest);
      ao::load_floats(a->dtype, scale, 1, scale, 1);
      const float s = *scale == 0 ? 1 : *scale;
      uint8_t* q = static_cast<uint8_t*>(a->q) + r * a->cols;
      float v[256];
      for (int64_t c0 = 0; c0 < a->cols; c0 += 256) {
        const int64_t n = std::min<int64_t>(256, a->cols - c0);
        ao::load_floats(a->dtype, ao::element(a->x, a->dtype, r * a->cols + c0), 1, v, n);
        for (int64_t i = 0; i < n; i++) {
          const float x = v[i] / s, held = x > largest ? largest : x < -largest ? -largest : x;
          q[c0 + i] = a->f8 == AO_F8E4M3 ? ao_to_f8e4m3(held) : ao_to_f8e5m2(held);
        }
      }
    }
  });
  return 0;
}

// Codes a->q of x by scales of a->axis; what concerns turned codes is left alone.
static int plain_codes(const ao_to_float8_args* a, ao_ctx* ctx) {
  const auto peak = AO_ISA_PICK(ctx, float8_peak);
  const auto peaks = AO_ISA_PICK(ctx, float8_peaks);
  const auto encode = AO_ISA_PICK(ctx, float8_encode);
  const int64_t rows = a->rows, cols = a->cols;
  float* scale = static_cast<float*>(a->scale);
  uint8_t* q = static_cast<uint8_t*>(a->q);
  const auto at = [&](int64_t r, int64_t c) { return ao::element(a->x, a->dtype, r * cols + c); };
  if (a->axis == ROWS) {
    ao::parallel_for(ctx, rows, ao::rows_per_chunk(cols), [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; r++) {
        if (!a->given) scale[r] = scale_of(peak(a->dtype, at(r, 0), cols, 0), a->f8, a->pow2);
        encode(a->dtype, a->f8, at(r, 0), cols, scale + r, false, q + r * cols);
      }
    });
    return 0;
  }
  if (a->axis == COLUMNS) {
    const int64_t few = ao::rows_per_chunk(cols);
    if (!a->given) {
      int32_t* most = ao::scratch<int32_t>(ctx, cols * ao_ctx_threads(ctx)); // of the rows that a thread has seen
      if (!most) return 1;
      memset(most, 0, cols * ao_ctx_threads(ctx) * 4);
      ao::parallel_for(ctx, rows, few, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t r = begin; r < end; r++) peaks(a->dtype, at(r, 0), cols, most + thread * cols);
      });
      for (int64_t i = 0; i < cols; i++) {
        for (int t = 1; t < ao_ctx_threads(ctx); t++) most[i] = std::max(most[i], most[t * cols + i]);
        scale[i] = scale_of(most[i], a->f8, a->pow2);
      }
    }
    ao::parallel_for(ctx, rows, few, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; r++) encode(a->dtype, a->f8, at(r, 0), cols, scale, true, q + r * cols);
    });
    return 0;
  }
  const int64_t n = rows * cols, run = 1 << 14, runs = (n + run - 1) / run;
  const auto length = [&](int64_t i) { return n - i * run < run ? n - i * run : run; };
  if (!a->given) {
    std::atomic<int32_t> most{0};
    ao::parallel_for(ctx, runs, 4, [&](int64_t begin, int64_t end, int) {
      int32_t mine = 0;
      for (int64_t i = begin; i < end; i++) mine = peak(a->dtype, at(0, i * run), length(i), mine);
      int32_t had = most.load(std::memory_order_relaxed);
      while (mine > had && !most.compare_exchange_weak(had, mine, std::memory_order_relaxed)) {
      }
    });
    *scale = scale_of(most.load(), a->f8, a->pow2);
  }
  ao::parallel_for(ctx, runs, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) encode(a->dtype, a->f8, at(0, i * run), length(i), scale, false, q + i * run);
  });
  return 0;
}

// to [cols, rows] of from [rows, cols].
static void turn(ao_ctx* ctx, uint8_t* to, const uint8_t* from, int64_t rows, int64_t cols) {
  constexpr int64_t kSide = 64;
  ao::parallel_for(ctx, (cols + kSide - 1) / kSide, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t c0 = begin * kSide; c0 < std::min(end * kSide, cols); c0 += kSide)
      for (int64_t r0 = 0; r0 < rows; r0 += kSide)
        for (int64_t c = c0; c < std::min(c0 + kSide, cols); c++)
          for (int64_t r = r0; r < std::min(r0 + kSide, rows); r++) to[c * rows + r] = from[r * cols + c];
  });
}

extern "C" int ao_cpu_to_float8(const ao_to_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "to_float8", a->f8, a->axis) || check(ctx, "to_float8", a->f8, a->axis_t) ||
      ao::need_float(ctx, "to_float8", a->dtype))
    return 1;
  if (a->pow2 == kDivides) {
    if (a->q_t || a->axis != ROWS)
      return ao_fail(ctx, "to_float8: scales of quantization are of rows, codes not turned");
    return quantized_rows(a, ctx);
  }
  if (a->q && plain_codes(a, ctx)) return 1;
  if (!a->q_t) return 0;
  if (a->q && a->axis == a->axis_t && a->scale == a->scale_t)
    return turn(ctx, static_cast<uint8_t*>(a->q_t), static_cast<const uint8_t*>(a->q), a->rows, a->cols), 0;
  ao_to_float8_args other = *a;
  other.q = ao::scratch<uint8_t>(ctx, a->rows * a->cols), other.axis = a->axis_t, other.scale = a->scale_t;
  if (!other.q || plain_codes(&other, ctx)) return 1;
  turn(ctx, static_cast<uint8_t*>(a->q_t), static_cast<const uint8_t*>(other.q), a->rows, a->cols);
  return 0;
}

extern "C" int ao_cpu_from_float8(const ao_from_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "from_float8", a->f8, a->axis)) return 1;
  const auto decode = AO_ISA_PICK(ctx, float8_decode);
  const float* scale = static_cast<const float*>(a->scale);
  const int64_t cols = a->cols;
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++)
      decode(a->f8, static_cast<const uint8_t*>(a->q) + r * cols, cols, a->axis == ROWS ? scale + r : scale,
             a->axis == COLUMNS, static_cast<float*>(a->out) + r * cols);
  });
  return 0;
}
