#include "gemm/packed.h"

#include <stdio.h>
#include <string.h>

#include "base/dtype.h"

namespace ao {
namespace {

int64_t code_bytes(int64_t code, int64_t k) {
  switch (code) {
  case AO_F32:
    return k * 64;
  case AO_F16:
    return k * 32;
  case AO_BF16:
    return (k + 1) / 2 * 64;
  case AO_I8:
    return round_up_to(k, 8) * 16;
  default:
    return round_up_to(k, 8) * 8;
  }
}

bool is_scale_dtype(int64_t dtype) { return dtype == AO_F32 || dtype == AO_F16 || dtype == AO_BF16; }

// The reason why such a weight cannot be packed, or null.
const char* refusal(int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain, int64_t scale_dtype,
                    int64_t zero_dtype, int64_t activation) {
  const bool coded = has_scale(code);
  if (!coded && code != AO_F32 && code != AO_F16 && code != AO_BF16)
    return "codes are float32, float16, bfloat16, int8 or int4";
  if (n < 1 || k < 1) return "both dimensions are at least 1";
  if (n > (int64_t)1 << 31 || k > (int64_t)1 << 31) return "dimensions reach at most 2^31";
  if (activation < AO_ACT_EXACT || activation > AO_ACT_INT8_TOKEN_ASYM)
    return "activation is 0 exact, 1 int8-group, 2 int8-token or 3 int8-token-asym";
  if (!coded) {
    if (zero_domain != AO_ZERO_NONE) return "a float weight has no zero point";
    if (activation != AO_ACT_EXACT) return "a float weight takes the exact activation mode";
    return nullptr;
  }
  if (code == AO_INT4 && k % 2) return "int4 needs an even number of columns, two share a byte";
  if (group < 1 || k % group) return "the group size divides the number of columns";
  if (group != k && (group % 8 || (group < 32 ? 32 % group : group % 32)))
    return "a group is a whole row, 8, 16 or a multiple of 32 columns";
  if (!is_scale_dtype(scale_dtype)) return "scales are float32, float16 or bfloat16";
  if (zero_domain == AO_ZERO_INT && zero_dtype != AO_I8) return "an integer zero point is int8";
  if (zero_domain == AO_ZERO_FLOAT && !is_scale_dtype(zero_dtype))
    return "a float zero point is float32, float16 or bfloat16";
  if (zero_domain < AO_ZERO_NONE || zero_domain > AO_ZERO_FLOAT) return "zero_domain is 0 none, 1 int or 2 float";
  // |(q - z) x| <= 255 * 128, and a group of them must fit an int32; intermediate sums may wrap
  if (activation != AO_ACT_EXACT && group > 65536)
    return "integer activations take groups of at most 65536 columns; use the exact mode";
  return nullptr;
}

} // namespace

const char* weight_code_name(int64_t code) { return code == AO_INT4 ? "int4" : ao_dtype_name(code); }

bool describe_packed(Packed* w, int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain,
                     int64_t scale_dtype, int64_t zero_dtype, int64_t activation, char* err, int err_size) {
  const char* reason = refusal(code, n, k, group, zero_domain, scale_dtype, zero_dtype, activation);
  if (reason) {
    snprintf(err, err_size, "a %s weight [%lld, %lld] with groups of %lld cannot be packed: %s", weight_code_name(code),
             (long long)n, (long long)k, (long long)group, reason);
    return false;
  }
  const bool coded = has_scale(code);
  memset(w, 0, sizeof *w);
  w->magic = kPackedMagic;
  w->version = kPackedVersion;
  w->code = (int32_t)code;
  w->zero_domain = (int32_t)zero_domain;
  w->scale_dtype = coded ? (int32_t)scale_dtype : AO_F32;
  w->zero_dtype = zero_domain == AO_ZERO_NONE ? AO_I8 : (int32_t)zero_dtype;
  w->activation = (int32_t)activation;
  w->n = n;
  w->k = k;
  w->group = coded ? group : k;
  const int64_t per_group = kPanelRows * groups_of(w);
  w->scale_at = round_up_to(code_bytes(code, k), 64);
  w->zero_at = w->scale_at + (coded ? round_up_to(per_group * ao_dtype_size(w->scale_dtype), 64) : 0);
  w->sum_at =
      w->zero_at + (zero_domain != AO_ZERO_NONE ? round_up_to(per_group * ao_dtype_size(w->zero_dtype), 64) : 0);
  w->panel_bytes = w->sum_at + (coded ? 64 : 0);
  return true;
}

} // namespace ao

extern "C" int64_t ao_cpu_weight_packed_size(int64_t code, int64_t n, int64_t k, int64_t group_size,
                                             int64_t zero_domain, int64_t scale_dtype, int64_t zero_dtype) {
  ao::Packed w;
  char err[512];
  if (!ao::describe_packed(&w, code, n, k, group_size, zero_domain, scale_dtype, zero_dtype, AO_ACT_EXACT, err,
                           sizeof err))
    return -1;
  return ao::kHeaderBytes + ao::panels_of(n) * w.panel_bytes;
}
