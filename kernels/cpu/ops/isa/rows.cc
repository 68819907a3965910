#include "ops/rows.h"

#include "base/simd_map.h"
#include "base/simd_math.h"

namespace ao {
namespace AO_ISA_NS {

// Sums of exponentials add lanes in float32 within a block and blocks in double.
static constexpr int64_t kBlock = 256;

void softmax_row(int64_t dtype, void* out, const void* x, int64_t n, int log, float* row) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    Largest largest;
    steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count);
      largest.take(count == AO_W ? v : first_n(count) ? v : set1(-INFINITY));
    });
    const vf top = set1(largest.value());
    double total = 0;
    for (int64_t at = 0; at < n; at += kBlock) {
      vf part = set1(0.0f);
      steps(n - at < kBlock ? n - at : kBlock, [&](int64_t i, int count) {
        const vf e = exp_(load_as(d, x, at + i, count) - top);
        part += count == AO_W ? e : first_n(count) ? e : set1(0.0f);
        if (!log) store_as(AO_F32, row, at + i, e, count);
      });
      total += (double)sum_lanes(part);
    }
    const vf sum = set1((float)total);
    if (log) {
      const vf shift = log_(sum);
      steps(n, [&](int64_t i, int count) { store_as(d, out, i, (load_as(d, x, i, count) - top) - shift, count); });
    } else {
      steps(n, [&](int64_t i, int count) { store_as(d, out, i, load_as(AO_F32, row, i, count) / sum, count); });
    }
  });
}

double log_sum_exp_row(int64_t dtype, const void* x, int64_t n) {
  double result = 0;
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    Largest largest;
    steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count);
      largest.take(count == AO_W ? v : first_n(count) ? v : set1(-INFINITY));
    });
    const float top = largest.value();
    double sum = 0;
    for (int64_t at = 0; at < n; at += kBlock) {
      vf total = set1(0.0f);
      steps(n - at < kBlock ? n - at : kBlock, [&](int64_t i, int count) {
        const vf e = exp_(load_as(d, x, at + i, count) - set1(top));
        total += count == AO_W ? e : first_n(count) ? e : set1(0.0f);
      });
      sum += (double)sum_lanes(total);
    }
    result = (double)top + log(sum);
  });
  return result;
}

// Lanes of four accumulators in turn, so that the additions overlap.
template <class Fn>
static inline float sum_steps(int64_t n, const Fn& value) {
  vf a[4] = {set1(0.0f), set1(0.0f), set1(0.0f), set1(0.0f)};
  int64_t i = 0;
  for (; i + 4 * AO_W <= n; i += 4 * AO_W)
    for (int k = 0; k < 4; k++) a[k] += value(i + k * AO_W, AO_W);
  for (int k = 0; i < n; i += AO_W, k++) {
    const int count = n - i < AO_W ? (int)(n - i) : AO_W;
    const vf v = value(i, count);
    a[k] += count == AO_W ? v : first_n(count) ? v : set1(0.0f);
  }
  return sum_lanes((a[0] + a[1]) + (a[2] + a[3]));
}

void rms_norm_row(int64_t dtype, void* out, const void* x, const void* weight, int64_t n, float eps, float offset) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const float squares = sum_steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count);
      return v * v;
    });
    const vf scale = set1(1.0f) / sqrt_(set1(squares / (float)n + eps));
    if (weight && offset != 0) {
      const vf shift = set1(offset);
      steps(n, [&](int64_t i, int count) {
        store_as(d, out, i, load_as(d, x, i, count) * scale * (shift + load_as(d, weight, i, count)), count);
      });
      return;
    }
    steps(n, [&](int64_t i, int count) {
      const vf y = round_as(d, load_as(d, x, i, count) * scale);
      store_as(d, out, i, weight ? y * load_as(d, weight, i, count) : y, count);
    });
  });
}

void layer_norm_row(int64_t dtype, void* out, const void* x, const void* weight, const void* bias, int64_t n,
                    float eps) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf mean = set1(sum_steps(n, [&](int64_t i, int count) { return load_as(d, x, i, count); }) / (float)n);
    const float squares = sum_steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count) - mean;
      return v * v;
    });
    const vf scale = set1(1.0f) / sqrt_(set1(squares / (float)n + eps));
    steps(n, [&](int64_t i, int count) {
      vf y = (load_as(d, x, i, count) - mean) * scale;
      if (weight) y = y * load_as(d, weight, i, count);
      if (bias) y = y + load_as(d, bias, i, count);
      store_as(d, out, i, y, count);
    });
  });
}

void silu_mul_row(int64_t dtype, void* out, const void* gate, const void* up, int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) {
      store_as(d, out, i, round_as(d, silu_(load_as(d, gate, i, count))) * load_as(d, up, i, count), count);
    });
  });
}

double reduce_row(int op, int64_t dtype, const void* x, int64_t n) {
  double result = 0;
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    if (op == SUM) {
      for (int64_t at = 0; at < n; at += 1024)
        result += (double)sum_steps(n - at < 1024 ? n - at : 1024,
                                    [&](int64_t i, int count) { return load_as(d, x, at + i, count); });
      return;
    }
    Largest largest; // the least is the largest of the negated
    const vi flip = set1i(op == AMAX ? 0 : INT32_MIN);
    steps(n, [&](int64_t i, int count) {
      const vf v = (vf)((vi)load_as(d, x, i, count) ^ flip);
      largest.take(count == AO_W ? v : first_n(count) ? v : set1(-INFINITY));
    });
    result = op == AMAX ? largest.value() : -(double)largest.value();
  });
  return result;
}

void reduce_columns(int op, int64_t dtype, const void* x, int64_t n, int64_t stride, int count, double* out) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    constexpr int64_t kBlock = 256;
    for (int column = 0; column < count; column += AO_W) {
      const int lanes = count - column < AO_W ? count - column : AO_W;
      float t[AO_W];
      if (op == SUM) {
        for (int k = 0; k < lanes; k++) out[column + k] = 0;
        for (int64_t at = 0; at < n; at += kBlock) {
          const int64_t end = n - at < kBlock ? n : at + kBlock;
          vf total = set1(0.0f);
          for (int64_t r = at; r < end; r++) total += load_as(d, x, r * stride + column, lanes);
          store(t, total);
          for (int k = 0; k < lanes; k++) out[column + k] += (double)t[k];
        }
        continue;
      }
      vf m = load_as(d, x, column, lanes);
      for (int64_t r = 1; r < n; r++) {
        const vf v = load_as(d, x, r * stride + column, lanes);
        m = op == AMAX ? max_nan(m, v) : min_nan(m, v);
      }
      store(t, m);
      for (int k = 0; k < lanes; k++) out[column + k] = (double)t[k];
    }
  });
}

void rope_row(int64_t dtype, void* out, const void* x, const float* cos, const float* sin, int64_t half) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(half, [&](int64_t i, int count) {
      const vf a = load_as(d, x, i, count), b = load_as(d, x, half + i, count);
      const vf c = load_as(AO_F32, cos, i, count), s = load_as(AO_F32, sin, i, count);
      store_as(d, out, i, a * c - b * s, count);
      store_as(d, out, half + i, b * c + a * s, count);
    });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
