// Products with 2:4 weights on cuSPARSELt, where it is found.
#pragma once
#include "gemm/store.h"

namespace ao {

struct SparsePlans;
void close_sparse(SparsePlans* plans);

// out = x . w^T of a 2:4 weight of 16-bit floats. *done tells whether the library did it: not where it is absent or cannot take the call,
// and not where decoding the weight to a dense product is expected to be faster. AO_CUDA_SPARSE=0 leaves all to own kernels.
int sparse_product(ao_ctx* ctx, const char* op, const Weight& w, const Rows& x, const Store& store, bool* done);

// The integer sums [m, w.n] of codes x [m, columns] with a 2:4 weight of int8 codes, in scratch; *sums is null where the library does not.
int sparse_integers(ao_ctx* ctx, const char* op, const Weight& w, const int8_t* x, int64_t m, const int32_t** sums);

// Frees what is kept beside the codes at `codes`, which change.
void forget_sparse(ao_ctx* ctx, const void* codes);

} // namespace ao
