// Linear layers whose activations become int8 (kernels/cpu/gemm/activation.h has the forms, run_linear.cc and isa/int_kernels.cc how the
// exact integer sums join): x is quantized by rows, then 32 x 32 tiles of exact dot products, segment by segment.
#include "base/block.h"
#include "gemm/activation.h"
#include "gemm/decode.h"
#include "gemm/linear.h"
#include "libraries/sparse_lt.h"

namespace ao {
namespace {

// x as codes [m][columns], with one scale a row (token) or a segment.
struct IntRows {
  int8_t* q;
  float* s; // [m] or [m][segments]
  int32_t* zero;
  int64_t segment, segments;
  bool token, asymmetric;
  int32_t between; // a dtype that the product with x's scale is rounded to first, or -1
};

struct RowsForm {
  ActForm act;
  bool reduced, given, one_scale, row_scales;
};

struct Span {
  float lo, hi;
  bool finite;
};

__device__ Span span_of(const Rows& x, int64_t row, int64_t columns, bool asymmetric) {
  float lo = 0, hi = 0;
  int bad = 0;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const float v = load_float(x.dtype, x.data, row * x.stride + i), size = fabsf(v);
    if (!(size <= 0x1.fffffep127f)) bad = 1;
    lo = v < lo ? v : lo;
    hi = asymmetric ? (v > hi ? v : hi) : (size > hi ? size : hi);
  }
  lo = reduce_block(lo, 0.0f, Smaller());
  hi = reduce_block(hi, 0.0f, Larger());
  return {asymmetric ? lo : 0.0f, hi, sum_block(bad) == 0};
}

// One form for all rows, by one block.
__global__ void one_form_kernel(TokenForm* form, Rows x, int64_t columns, bool asymmetric, bool reduced, float eps) {
  float lo = 0, hi = 0;
  bool finite = true;
  for (int64_t r = 0; r < x.m; r++) {
    const Span s = span_of(x, r, columns, asymmetric);
    lo = s.lo < lo ? s.lo : lo;
    hi = s.hi > hi ? s.hi : hi;
    finite = finite && s.finite;
  }
  if (threadIdx.x == 0)
    *form = finite ? token_form(static_cast<int32_t>(x.dtype), asymmetric, code_range(reduced), eps, lo, hi)
                   : TokenForm{NAN, 0};
}

__device__ float stepped(int32_t dtype, float v) { return round_to(dtype, v); }

// A block a row.
__global__ void quantize_tokens_kernel(IntRows out, Rows x, int64_t columns, RowsForm f, const TokenForm* one) {
  const int64_t row = blockIdx.x;
  const int32_t dtype = static_cast<int32_t>(x.dtype);
  const Span span = span_of(x, row, columns, out.asymmetric);
  const CodeRange range = code_range(f.reduced);
  TokenForm form;
  if (f.given)
    form = {f.act.scale[f.row_scales ? row : 0], f.act.zero ? f.act.zero[f.row_scales ? row : 0] : 0};
  else if (one)
    form = *one;
  else
    form = token_form(dtype, out.asymmetric, range, f.act.eps, span.lo, span.hi);
  if (!span.finite) form = {ao_float(0x7fc00000u), 0};
  const bool bad = isnan(form.s);
  if (threadIdx.x == 0) out.s[row] = form.s, out.zero[row] = form.zero;
  const int32_t steps = out.asymmetric && !f.given ? dtype : int32_t{AO_F32};
  const float inverse = token_inverse(steps, form.s), z = static_cast<float>(form.zero);
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    float v = round_even(stepped(steps, load_float(x.dtype, x.data, row * x.stride + i) * inverse)) + z;
    v = v < range.low ? range.low : v;
    v = v > range.high ? range.high : v;
    out.q[row * columns + i] = bad ? int8_t{0} : static_cast<int8_t>(static_cast<int32_t>(v));
  }
}

// A warp a segment.
__global__ void quantize_groups_kernel(IntRows out, Rows x, int64_t columns) {
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t n = blockIdx.x * int64_t{blockDim.x / kWarp} + threadIdx.x / kWarp; n < x.m * out.segments; n += step) {
    const int64_t row = n / out.segments, begin = n % out.segments * out.segment;
    const int64_t end = begin + out.segment < columns ? begin + out.segment : columns;
    uint32_t bits = 0;
    for (int64_t i = begin + lane; i < end; i += kWarp) {
      const uint32_t u = ao_bits(load_float(x.dtype, x.data, row * x.stride + i)) & 0x7fffffffu;
      bits = u > bits ? u : bits;
    }
    for (int d = kWarp / 2; d > 0; d /= 2) {
      const uint32_t other = __shfl_xor_sync(kAllLanes, bits, d);
      bits = other > bits ? other : bits;
    }
    const bool bad = bits >= 0x7f800000u;
    const float quotient = ao_float(bits) / 127.0f, s = quotient > 0x1p-126f ? quotient : 0x1p-126f, inverse = 1.0f / s;
    if (lane == 0) out.s[n] = bad ? ao_float(0x7fc00000u) : s;
    for (int64_t i = begin + lane; i < end; i += kWarp) {
      float v = round_even(load_float(x.dtype, x.data, row * x.stride + i) * inverse);
      v = v < -127.0f ? -127.0f : v;
      v = v > 127.0f ? 127.0f : v;
      out.q[row * columns + i] = bad ? int8_t{0} : static_cast<int8_t>(static_cast<int32_t>(v));
    }
  }
}

constexpr int kTile = 32;

// The integer code at column c of a row; its zero point joins after the sum, as q - z may take nine bits.
__device__ int weight_code(const Weight& w, int64_t row, int64_t c) {
  const int64_t k = w.sparse ? kept_at(w, row, c) : c;
  if (k < 0) return 0;
  return static_cast<int>(number_at(w, row, k));
}

// One tile of rows [row0, ...) of x, which are rows from x_row on, and rows [column0, ...) of w.
__device__ void int_tile(const Weight& w, const Store& store, const IntRows& x, int64_t m, int64_t row0, int64_t x_row,
                         int64_t out_row, int64_t column0) {
  __shared__ int8_t xs[kTile][kTile + 4], ws[kTile][kTile + 4];
  const int tx = threadIdx.x % kTile, ty = threadIdx.x / kTile; // ty < 8: rows ty, ty + 8, ..
  const int64_t columns = w.columns(), group = w.sparse ? 2 * w.group : w.group, column = column0 + tx;
  const bool int_zero = w.zero_domain == AO_ZERO_INT, float_zero = w.zero_domain == AO_ZERO_FLOAT;
  const bool one = x.segments == 1;
  float acc[4] = {};
  for (int64_t s = 0; s < x.segments; s++) {
    const int64_t begin = s * x.segment, end = begin + x.segment < columns ? begin + x.segment : columns,
                  g = begin / group;
    int dot[4] = {}, sum[4] = {};
    for (int64_t k0 = begin; k0 < end; k0 += kTile) {
      __syncthreads();
      for (int i = ty; i < kTile; i += 8) {
        const int64_t r = row0 + i, n = column0 + i, k = k0 + tx;
        xs[i][tx] = r < m && k < end ? x.q[(x_row + i) * columns + k] : int8_t{0};
        ws[i][tx] = n < w.n && k < end ? static_cast<int8_t>(weight_code(w, n, k)) : int8_t{0};
      }
      __syncthreads();
      for (int k = 0; k < kTile; k++)
        for (int i = 0; i < 4; i++) {
          dot[i] += xs[ty + 8 * i][k] * ws[tx][k];
          sum[i] += xs[ty + 8 * i][k];
        }
    }
    if (column >= w.n) continue;
    const float sw = load_float(w.scale_dtype, w.scale, w.part_at(column, g));
    const float z = int_zero || float_zero ? load_float(w.zero_dtype, w.zero, w.part_at(column, g)) : 0.0f;
    for (int i = 0; i < 4; i++) {
      const int64_t r = x_row + ty + 8 * i;
      if (row0 + ty + 8 * i >= m) continue;
      const int whole = int_zero ? dot[i] - static_cast<int>(z) * sum[i] : dot[i];
      const float d = static_cast<float>(whole), total = static_cast<float>(sum[i]);
      const float sx = x.s[x.token ? r : r * x.segments + s];
      if (one && x.between >= 0) {
        acc[i] = round_to(x.between, d * sx) * sw;
      } else if (one) {
        acc[i] = d * (sx * sw);
        if (float_zero) acc[i] = fmaf(total * sx, z, acc[i]);
      } else if (x.token) {
        acc[i] = fmaf(d, sw, acc[i]);
        if (float_zero) acc[i] = fmaf(total, z, acc[i]);
      } else {
        acc[i] = fmaf(d * sx, sw, acc[i]);
        if (float_zero) acc[i] = fmaf(total * sx, z, acc[i]);
      }
    }
  }
  for (int i = 0; i < 4; i++) {
    const int64_t at = ty + 8 * i, r = x_row + at;
    if (column >= w.n || row0 + at >= m) continue;
    float y = acc[i];
    if (!one && x.token) y *= x.s[r];
    if (x.asymmetric) y = fmaf(-(x.s[r] * static_cast<float>(x.zero[r])), w.sums[column], y);
    put(store, out_row + at, column, y);
  }
}

__global__ void int_kernel(Targets targets, IntRows x, int64_t m) {
  const Target& t = targets.at[blockIdx.z];
  const int64_t row0 = int64_t{blockIdx.y} * kTile, column0 = int64_t{blockIdx.x} * kTile;
  if (column0 >= t.w.n) return;
  int_tile(t.w, t.store, x, m, row0, row0, row0, column0);
}

__global__ void int_experts_kernel(Experts experts, IntRows x, Store store) {
  const int64_t row = blockIdx.y, expert = experts.index[row] - experts.first;
  if (expert < 0 || expert >= experts.count) return;
  int_tile(experts.at[expert], store, x, 1, 0, row / experts.per_x, row, int64_t{blockIdx.x} * kTile);
}

// The end of sums over whole rows that a library made, as int_tile's.
__global__ void join_sums_kernel(Weight w, Store store, IntRows x, const int32_t* sums, int64_t m) {
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < m * w.n; p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t r = p / w.n, column = p % w.n;
    const float d = static_cast<float>(sums[p]), sx = x.s[r], sw = load_float(w.scale_dtype, w.scale, column);
    put(store, r, column, x.between >= 0 ? round_to(x.between, d * sx) * sw : d * (sx * sw));
  }
}

// Quantizes x as a weight's mode says; the room is scratch.
int quantize_rows(ao_ctx* ctx, const char* op, const Weight& w, const Rows& x, const ActForm& act, IntRows* out) {
  const int64_t columns = w.columns(), group = w.sparse ? 2 * w.group : w.group;
  out->token = w.activation != AO_ACT_INT8_GROUP;
  out->asymmetric = w.activation == AO_ACT_INT8_TOKEN_ASYM;
  out->segment = !out->token && w.group > 32 ? 32 : group;
  const int64_t per_group = ceil_div(group, out->segment);
  out->segments = columns / group * per_group + ceil_div(columns % group, out->segment);
  out->between = out->segments == 1 && w.zero_domain == AO_ZERO_NONE && w.activation == AO_ACT_INT8_TOKEN
                     ? static_cast<int32_t>(x.dtype)
                     : -1;
  out->q = scratch<int8_t>(ctx, x.m * columns);
  out->s = scratch<float>(ctx, x.m * (out->token ? 1 : out->segments));
  out->zero = scratch<int32_t>(ctx, x.m);
  if (!out->q || !out->s || !out->zero) return 1;
  if (!out->token)
    return launch(ctx, op, quantize_groups_kernel, blocks_for(ctx, x.m * out->segments, 8), 8 * kWarp, 0, *out, x,
                  columns);
  RowsForm f{act, (act.flags & AO_ACT_REDUCED) != 0, act.scale != nullptr, (act.flags & AO_ACT_ONE_SCALE) != 0,
             (act.flags & AO_ACT_ROW_SCALES) != 0};
  TokenForm* one = nullptr;
  if (!f.given && f.one_scale) {
    one = scratch<TokenForm>(ctx, 1);
    if (!one || launch(ctx, op, one_form_kernel, 1, kThreads, 0, one, x, columns, out->asymmetric, f.reduced, act.eps))
      return 1;
  }
  return launch(ctx, op, quantize_tokens_kernel, static_cast<unsigned>(x.m), threads_for(columns), 0, *out, x, columns,
                f, one);
}

int own_integers(ao_ctx* ctx, const char* op, const Targets& targets, int count, const IntRows& rows, int64_t m) {
  int64_t n = 0;
  for (int i = 0; i < count; i++) n = targets.at[i].w.n > n ? targets.at[i].w.n : n;
  const int64_t down = ceil_div(m, kTile);
  if (down > 65535) return ao_fail(ctx, "%s: %lld rows; the GPU takes 2^21 in one call", op, (long long)m);
  const dim3 grid(static_cast<unsigned>(ceil_div(n, kTile)), static_cast<unsigned>(down), static_cast<unsigned>(count));
  return launch(ctx, op, int_kernel, grid, 8 * kTile, 0, targets, rows, m);
}

} // namespace

int integer_rows(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x, const ActForm& act) {
  if (x.m == 0) return 0;
  IntRows rows{};
  if (quantize_rows(ctx, op, targets.at[0].w, x, act, &rows)) return 1;
  Targets rest{};
  int others = 0;
  for (int i = 0; i < count; i++) {
    const Target& t = targets.at[i];
    const int32_t* sums = nullptr;
    const bool whole = rows.segments == 1 && rows.token && !rows.asymmetric && t.w.zero_domain == AO_ZERO_NONE;
    if (whole && sparse_integers(ctx, op, t.w, rows.q, x.m, &sums)) return 1;
    if (!sums)
      rest.at[others++] = t;
    else if (launch(ctx, op, join_sums_kernel, blocks_for(ctx, x.m * t.w.n), kThreads, 0, t.w, t.store, rows, sums,
                    x.m))
      return 1;
  }
  return others == 0 ? 0 : own_integers(ctx, op, rest, others, rows, x.m);
}
int integer_rows_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                            const Store& store, float eps) {
  if (rows > 65535) return ao_fail(ctx, "%s: %lld rows; the GPU takes 65535", op, (long long)rows);
  IntRows codes{};
  if (quantize_rows(ctx, op, experts.at[0], x, {eps, nullptr, nullptr, 0}, &codes)) return 1;
  const dim3 grid(static_cast<unsigned>(ceil_div(store.n, kTile)), static_cast<unsigned>(rows));
  return launch(ctx, op, int_experts_kernel, grid, 8 * kTile, 0, experts, codes, store);
}

} // namespace ao
