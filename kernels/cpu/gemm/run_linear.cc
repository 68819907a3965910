#include <string.h>

#include "gemm/skeleton.h"

namespace ao {
namespace {

// The panels of all targets in one row.
struct Panels {
  const Target* targets;
  int count;
  int64_t total;
  Panels(const Target* t, int n) : targets(t), count(n), total(0) {
    for (int i = 0; i < n; i++) total += panels_of(t[i].w->n);
  }
  const Target& at(int64_t panel, int64_t* local) const {
    int i = 0;
    for (; panel >= panels_of(targets[i].w->n); i++) panel -= panels_of(targets[i].w->n);
    *local = panel;
    return targets[i];
  }
};

// Chunks of panels, each at least 16 KiB of weight.
template <class Fn>
void each_panel(ao_ctx* ctx, const Panels& panels, const Fn& fn) {
  const int64_t bytes = panels.targets[0].w->panel_bytes;
  parallel_for(ctx, panels.total, even_chunk(ctx, panels.total, 4, (1 << 14) / bytes),
               [&](int64_t begin, int64_t end, int) {
                 for (int64_t p = begin; p < end; p++) {
                   int64_t local;
                   const Target& target = panels.at(p, &local);
                   fn(target, local);
                 }
               });
}

int run_exact(ao_ctx* ctx, const Panels& panels, const void* x, int32_t dtype, int64_t stride, int64_t m) {
  const int64_t k = panels.targets[0].w->k;
  FloatRows rows;
  if (!float_rows_of(ctx, dtype, x, m, k, stride, &rows)) return 1;
  if (m <= kFewRows) {
    const auto kernel = AO_ISA_PICK(ctx, float_rows);
    each_panel(ctx, panels, [&](const Target& t, int64_t panel) { kernel(t.w, panel, rows, 0, m, t.store); });
    return 0;
  }
  const auto decode = AO_ISA_PICK(ctx, decode_panel);
  const auto store = AO_ISA_PICK(ctx, store_rows);
  return !gemm_float(
      ctx, 1, m, k, panels.total,
      [&](int64_t, int64_t p, int64_t k0, int64_t k1, float* out) {
        int64_t at;
        const Target& t = panels.at(p, &at);
        decode(t.w, at, k0, k1, out);
      },
      [&](int64_t) { return rows; },
      [&](int64_t, const float* acc, int64_t row, int64_t count, int64_t p) {
        int64_t at;
        const Target& t = panels.at(p, &at);
        store(acc, row, count, at, t.store);
      });
}

// x quantized as the weight asks; false where memory is short.
bool int_rows_of(ao_ctx* ctx, const Packed* w, const void* x, int32_t dtype, int64_t stride, int64_t m, float eps,
                 IntRows* rows) {
  const int64_t k = w->k, k8 = round_up_to(k, 8), code_bytes = AO_ISA_PICK(ctx, int_code_bytes)(w->code);
  rows->segment = segment_of(w);
  rows->segments = groups_of(w) * ((w->group + rows->segment - 1) / rows->segment);
  rows->stride = round_up_to(k8, 64) + 64;
  rows->rows = m;
  const bool one_scale = rows->segments == 1 && w->zero_domain == AO_ZERO_NONE;
  rows->between = one_scale && w->activation == AO_ACT_INT8_TOKEN ? dtype : -1;
  rows->q = scratch<char>(ctx, m * rows->stride * code_bytes);
  rows->s = scratch<float>(ctx, m * rows->segments);
  rows->sum = scratch<int32_t>(ctx, m * rows->segments);
  rows->offset = scratch<int32_t>(ctx, m * rows->segments);
  rows->total = scratch<float>(ctx, m * rows->segments);
  rows->shift = scratch<float>(ctx, m);
  const int64_t each = round_up_to(k8 * 5, 64); // float32 row and codes
  char* memory = scratch<char>(ctx, each * ao_ctx_threads(ctx));
  if (!rows->q || !rows->s || !rows->sum || !rows->offset || !rows->total || !rows->shift || !memory) return false;
  if (w->activation != AO_ACT_INT8_TOKEN_ASYM) rows->shift = nullptr;
  const auto load = AO_ISA_PICK(ctx, load_row);
  const auto quantize = AO_ISA_PICK(ctx, quantize_row);
  const int64_t x_bytes = dtype == AO_F32 ? 4 : 2;
  parallel_for(ctx, m, rows_per_chunk(k, 1 << 13), [&](int64_t begin, int64_t end, int thread) {
    float* row = (float*)(memory + thread * each);
    for (int64_t r = begin; r < end; r++) {
      const char* from = (const char*)x + r * stride * x_bytes;
      if (dtype != AO_F32) load(dtype, from, k, row);
      quantize(w, dtype, eps, dtype == AO_F32 ? (const float*)from : row, *rows, r, (int8_t*)(row + k8));
    }
  });
  return true;
}

int run_integer(ao_ctx* ctx, const Panels& panels, const void* x, int32_t dtype, int64_t stride, int64_t m, float eps) {
  const Packed* first = panels.targets[0].w;
  IntRows rows;
  if (!int_rows_of(ctx, first, x, dtype, stride, m, eps, &rows)) return 1;
  if (m <= kFewRows) {
    const auto kernel = AO_ISA_PICK(ctx, int_rows);
    each_panel(ctx, panels, [&](const Target& t, int64_t panel) { kernel(t.w, panel, rows, 0, m, t.store); });
    return 0;
  }
  const auto widen = AO_ISA_PICK(ctx, widen_panel);
  const auto tile = AO_ISA_PICK(ctx, int_tile);
  const int64_t wide = round_up_to(AO_ISA_PICK(ctx, int_wide_bytes)(first->code, first->k), 64);
  uint8_t* memory = scratch<uint8_t>(ctx, wide * ao_ctx_threads(ctx));
  if (!memory) return 1;
  const int64_t row_bytes = rows.stride * AO_ISA_PICK(ctx, int_code_bytes)(first->code);
  const int64_t block = block_rows(m, row_bytes, 3 << 16, 48, 240), blocks = (m + block - 1) / block,
                tasks = blocks * panels.total;
  parallel_for(ctx, tasks, even_chunk(ctx, tasks, 8, (1 << 17) / std::max<int64_t>(1, block * first->k)),
               [&](int64_t begin, int64_t end, int thread) {
                 uint8_t* operand = memory + thread * wide;
                 for (int64_t t = begin; t < end; t++) {
                   int64_t local;
                   const Target& target = panels.at(t % panels.total, &local);
                   const int64_t row = t / panels.total * block;
                   widen(target.w, local, operand);
                   tile(target.w, local, operand, rows, row, std::min(block, m - row), target.store);
                 }
               });
  return 0;
}

} // namespace

bool float_rows_of(ao_ctx* ctx, int32_t dtype, const void* x, int64_t m, int64_t k, int64_t stride, FloatRows* rows) {
  if (dtype == AO_F32) {
    *rows = {(const float*)x, stride};
    return true;
  }
  const int64_t out_stride = round_up_to(k, 16) + 16;
  float* out = scratch<float>(ctx, m * out_stride);
  if (!out) return false;
  const auto load = AO_ISA_PICK(ctx, load_row);
  parallel_for(ctx, m, rows_per_chunk(k, 1 << 14), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) load(dtype, (const char*)x + r * stride * 2, k, out + r * out_stride);
  });
  *rows = {out, out_stride};
  return true;
}

int run_linear(ao_ctx* ctx, const Target* targets, int count, const void* x, int32_t x_dtype, int64_t x_stride,
               int64_t m, float eps) {
  if (m == 0) return 0;
  const Panels panels(targets, count);
  return targets[0].w->activation == AO_ACT_EXACT ? run_exact(ctx, panels, x, x_dtype, x_stride, m)
                                                  : run_integer(ctx, panels, x, x_dtype, x_stride, m, eps);
}

} // namespace ao
