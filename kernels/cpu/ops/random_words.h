// Random words in vectors, and dropout by them.
#pragma once
#include "base/isa.h"

// words[4 i + w] = word w of Philox (ops/philox.h) at counter first + i, i < 16.
AO_ISA_DECLARE(void, philox_words, (uint32_t seed, uint64_t first, uint32_t call, uint32_t* words))
// out[i] = words[i] >= least ? x[i] * scale : 0, i < n
AO_ISA_DECLARE(void, dropout_run,
               (int64_t dtype, void* out, const void* x, int64_t n, const uint32_t* words, uint32_t least, float scale))
