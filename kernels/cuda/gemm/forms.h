// Calls fn with a form (gemm/fragment.h) as a constant: fn(FormTag<kIntForm + 4>()).
#pragma once
#include "gemm/fragment.h"

namespace ao {

template <int n>
struct FormTag {
  static constexpr int value = n;
};

template <class Fn>
int by_form(int form, const Fn& fn) {
  switch (form) {
#define AO_FORM(f)                                                                                                     \
  case f:                                                                                                              \
    return fn(FormTag<f>());
    AO_FORM(kIntForm + 1)
    AO_FORM(kIntForm + 2)
    AO_FORM(kIntForm + 3)
    AO_FORM(kIntForm + 4)
    AO_FORM(kIntForm + 5)
    AO_FORM(kIntForm + 6)
    AO_FORM(kIntForm + 7)
    AO_FORM(kIntForm + 8)
    AO_FORM(kSmallForm + 4)
    AO_FORM(kSmallForm + 6)
    AO_FORM(kSmallForm + 8)
    AO_FORM(kSparseForm + 4)
    AO_FORM(kSparseForm + 8)
    AO_FORM(kSparseForm + kSmallForm + 8)
    AO_FORM(kPlainBf16)
#undef AO_FORM
  default:
    return fn(FormTag<kPlainF16>());
  }
}

} // namespace ao
