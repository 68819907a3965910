#pragma once
#include "ao/ao.h"

namespace ao {
// False with the error recorded where a dtype of a linear is not a float one the kernels take.
bool check_linear_dtypes(ao_ctx* ctx, const char* op, int64_t x_dtype, int64_t out_dtype, int64_t bias_dtype);
} // namespace ao
