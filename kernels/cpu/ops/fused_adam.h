// What one call of fused_adam is to its vector loops (ops/isa/fused_adam.cc).
#pragma once
#include "base/isa.h"
#include "ops/code_table.h"
#include "ops/moment_form.h"

namespace ao {

struct Moment {
  void* codes; // null: there is none
  float* scale;
  const CodeTable* table;
};

struct AdamStep {
  void* param;
  const void* grad;
  Moment exp_avg, exp_avg_sq, max_exp_avg_sq;
  int64_t dtype, form; // floats of the state are of dtype
  bool decoupled;
  // lr wd or wd; 1 - beta1, 1 - beta2; lr / (1 - beta1^t), sqrt(1 - beta2^t)
  float decay, weight1, weight2, step_size, root, eps;
  const uint32_t* rng; // {seed, call}, or null
};

} // namespace ao

// Elements [at, at + n): one block of the codes, or any run of floats (at a multiple of 8). `work` has room for 3 (n + 64) floats.
AO_ISA_DECLARE(void, fused_adam_block, (const ao::AdamStep& s, int64_t at, int64_t n, int64_t block, float* work))
AO_ISA_DECLARE(void, fused_sgd_row,
               (int64_t dtype, void* param, const void* grad, void* buffer, int64_t at, int64_t n, const float* facts))
