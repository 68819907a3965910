// Gradients of the norms for g of out, all [rows, n] contiguous, weight [n] or absent (ones); what is null is not wanted.
// rms_norm_backward, with s = 1 / sqrt(mean(x^2) + eps) and w = offset + weight:
//   dx[r, i] = s (g w - x s^2 mean_j(g w x))        dw[i] = sum_r g x s
// layer_norm_backward, with y = (x - mean) / sqrt(var + eps) = (x - mean) s:
//   dx[r, i] = s (g w - mean_j(g w) - y mean_j(g w y))   dw[i] = sum_r g y   db[i] = sum_r g
// Sums over rows are float32 within blocks of rows that depend on the shape alone, and double over the blocks in order: equal bits for any
// number of threads.
#include "ops/backward.h"
#include "ops/check.h"

namespace {

constexpr int64_t kMostBlocks = 64, kLeastRows = 16;

// row(grads, r) for each row; dw and db (either may be null) [n] of dtype.
template <class Row>
int norm_backward(ao_ctx* ctx, int64_t dtype, int64_t rows, int64_t n, void* dx, void* dw, void* db, const Row& row) {
  int64_t block = (rows + kMostBlocks - 1) / kMostBlocks;
  block = block < kLeastRows ? kLeastRows : block;
  const int64_t blocks = (rows + block - 1) / block, stride = (n + 15) / 16 * 16,
                sums = (dw != nullptr) + (db != nullptr);
  float* parts = sums ? ao::scratch<float>(ctx, sums * blocks * stride) : nullptr;
  if (sums && !parts) return 1;
  float* more = dw ? parts + blocks * stride : parts; // of db
  ao::parallel_for(ctx, blocks, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b++) {
      ao::NormGrads to = {nullptr, dw ? parts + b * stride : nullptr, db ? more + b * stride : nullptr};
      for (float* sum : {to.dw, to.db})
        if (sum) memset(sum, 0, static_cast<size_t>(stride) * sizeof(float));
      for (int64_t r = b * block; r < rows && r < (b + 1) * block; r++) {
        if (dx) to.dx = ao::element(dx, dtype, r * n);
        row(to, r * n);
      }
    }
  });
  const auto sum = AO_ISA_PICK(ctx, sum_parts);
  constexpr int64_t kColumns = 256;
  ao::parallel_for(ctx, sums ? (n + kColumns - 1) / kColumns : 0, 1, [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * kColumns, last = end * kColumns < n ? end * kColumns : n;
    if (dw) sum(dtype, ao::element(dw, dtype, first), parts + first, blocks, stride, last - first);
    if (db) sum(dtype, ao::element(db, dtype, first), more + first, blocks, stride, last - first);
  });
  return 0;
}

} // namespace

extern "C" int ao_cpu_rms_norm_backward(const ao_rms_norm_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "rms_norm_backward", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, rms_norm_backward_row);
  return norm_backward(ctx, a->dtype, a->rows, a->n, a->dx, a->dw, nullptr, [&](const ao::NormGrads& to, int64_t at) {
    run(a->dtype, to, ao::element(a->g, a->dtype, at), ao::element(a->x, a->dtype, at), a->weight, a->n,
        static_cast<float>(a->eps), static_cast<float>(a->offset));
  });
}

extern "C" int ao_cpu_layer_norm_backward(const ao_layer_norm_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "layer_norm_backward", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, layer_norm_backward_row);
  return norm_backward(ctx, a->dtype, a->rows, a->n, a->dx, a->dw, a->db, [&](const ao::NormGrads& to, int64_t at) {
    run(a->dtype, to, ao::element(a->g, a->dtype, at), ao::element(a->x, a->dtype, at), a->weight, a->n,
        static_cast<float>(a->eps));
  });
}
