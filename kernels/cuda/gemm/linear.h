// The pieces that linear layers are made of, from weights in a blob to products.
#pragma once
#include "gemm/store.h"

namespace ao {

// --- weight.cu ---
// A weight with the addresses of its parts in a blob.
Weight place_weight(const WeightLayout& layout, const void* blob);
// What was packed at an address, checked against the call; null with the error recorded.
const Weight* find_weight(ao_ctx* ctx, const char* op, const void* packed, int64_t n, int64_t columns);
int pack_rows(ao_ctx* ctx, const ao_pack_weight_args* a, const Weight& w);

// --- dense.cu ---
// [n, columns] of a float dtype in scratch, or null.
void* dense_weight(ao_ctx* ctx, const char* op, const Weight& w, int64_t dtype);

// --- few_rows.cu ---
// Whether the kernels that read weights as they are take so many rows of x; else a dense product is faster.
bool few_rows_take(ao_ctx* ctx, const Weight& w, const Rows& x);
int few_rows(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x);
int few_rows_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                        const Store& store);

// --- gemv.cu: up to 8 columns on tensor cores ---
bool gemv_takes(const ao_ctx* ctx, const Weight& w, const Rows& x);
int gemv(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x);
int gemv_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                    const Store& store);

// --- batch.cu: up to 64 columns on tensor cores ---
bool batch_takes(const Weight& w, const Rows& x);
int batch(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x);

// --- any.cu: every weight, up to 8 rows, in float32 ---
constexpr int64_t kAnyRows = 8;
int any_rows(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x);
int any_rows_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                        const Store& store);

// --- integer.cu ---
int integer_rows(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x, const ActForm& act);
int integer_rows_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                            const Store& store, float eps);

// --- product.cu ---
// A matrix as a side of a product: element (i, k) lies at i * row + k * column.
struct Side {
  const void* data;
  int64_t dtype, row, column;
};
// out [m, store.n] = sum over `count` terms of a_t . b_t^T, a_t [m, k_t], b_t [store.n, k_t]; float32 sums.
struct Term {
  Side a, b;
  int64_t k;
};
constexpr int kMostTerms = 4;
int run_product(ao_ctx* ctx, const char* op, const Term* terms, int count, int64_t m, const Store& store);

} // namespace ao
