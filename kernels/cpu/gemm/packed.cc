#include "gemm/packed.h"

#include <stdio.h>
#include <string.h>

#include "base/dtype.h"

namespace ao {
namespace {

int64_t code_bytes(int64_t code, int64_t bits, int64_t k) {
  switch (code) {
  case AO_F32:
    return k * 64;
  case AO_F16:
    return k * 32;
  case AO_BF16:
    return (k + 1) / 2 * 64;
  case AO_I8:
    return round_up_to(k, 8) * 16;
  case AO_TABLE:
    return round_up_to(k, 32) * 2 * bits;
  default:
    return round_up_to(k, 8) * 8;
  }
}

bool is_wide_float(int64_t dtype) { return dtype == AO_F32 || dtype == AO_F16 || dtype == AO_BF16; }
bool is_scale_dtype(int64_t dtype) { return is_wide_float(dtype) || dtype == AO_F8E8M0 || dtype == AO_F8E4M3; }

// The code of the panels for what the caller has: the exact mode decodes all integers as it does a table.
int64_t panel_code_of(int64_t code, int64_t bits, int64_t activation) {
  if (activation == AO_ACT_EXACT && has_scale(code)) return AO_TABLE;
  return code == AO_I8 && bits >= 1 && bits <= 4 ? (int64_t)AO_INT4 : code;
}
int64_t table_bits(int64_t code, int64_t bits) { return code == AO_INT4 ? 4 : code == AO_I8 && bits == 0 ? 8 : bits; }

// The reason why such a weight cannot be packed, or null.
const char* refusal(int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain, int64_t scale_dtype,
                    int64_t zero_dtype, int64_t activation, int64_t bits) {
  const bool coded = has_scale(code);
  if (!coded && code != AO_F32 && code != AO_F16 && code != AO_BF16)
    return "codes are float32, float16, bfloat16, int8, int4 or those of a table";
  if (n < 1 || k < 1) return "both dimensions are at least 1";
  if (n > (int64_t)1 << 31 || k > (int64_t)1 << 31) return "dimensions reach at most 2^31";
  if (activation < AO_ACT_EXACT || activation > AO_ACT_INT8_TOKEN_ASYM)
    return "activation is 0 exact, 1 int8-group, 2 int8-token or 3 int8-token-asym";
  if (!coded) {
    if (zero_domain != AO_ZERO_NONE) return "a float weight has no zero point";
    if (activation != AO_ACT_EXACT) return "a float weight takes the exact activation mode";
    return nullptr;
  }
  const bool exact = activation == AO_ACT_EXACT;
  if (bits < 0 || bits > 8 || (code == AO_TABLE && bits < 1)) return "codes have 1 to 8 bits";
  if (code == AO_TABLE && !exact) return "the codes of a table take the exact activation mode";
  if (group < 1) return "a group has at least one column";
  if (group < k && group % 8) return "a group is a whole row or a multiple of 8 columns";
  if (!exact && group < k && (group < 32 ? 32 % group : group % 32))
    return "integer activations take groups of a whole row, 8, 16 or a multiple of 32 columns";
  if (!is_scale_dtype(scale_dtype)) return "scales are float32, float16, bfloat16, float8_e8m0fnu or float8_e4m3fn";
  if (!exact && !is_wide_float(scale_dtype)) return "integer activations take scales in float32, float16 or bfloat16";
  if (zero_domain == AO_ZERO_INT && zero_dtype != AO_I8 &&
      !(exact && (zero_dtype == AO_U8 || is_wide_float(zero_dtype))))
    return "a zero point in codes is int8; in the exact mode also uint8, float32, float16 or bfloat16";
  if (zero_domain == AO_ZERO_FLOAT && !is_wide_float(zero_dtype))
    return "a float zero point is float32, float16 or bfloat16";
  if (zero_domain < AO_ZERO_NONE || zero_domain > AO_ZERO_FLOAT) return "zero_domain is 0 none, 1 int or 2 float";
  // |(q - z) x| <= 255 * 128, and a group of them must fit an int32; intermediate sums may wrap
  if (!exact && group > 65536 && k > 65536)
    return "integer activations take groups of at most 65536 columns; use the exact mode";
  return nullptr;
}

const char* sparse_refusal(int64_t code, int64_t k, int64_t group, int64_t zero_domain, int64_t activation,
                           int64_t bits) {
  if (k % 8) return "a 2:4 weight has a multiple of 8 columns";
  if (zero_domain != AO_ZERO_NONE) return "a 2:4 weight has no zero point";
  if (activation == AO_ACT_EXACT) return group < k && group % 16 ? "a 2:4 weight takes groups of 16 columns" : nullptr;
  if (activation == AO_ACT_INT8_GROUP || code != AO_I8 || bits % 8 || group < k)
    return "integer activations by token take a 2:4 weight of int8 with a scale a row";
  return nullptr;
}

} // namespace

const char* weight_code_name(int64_t code) {
  return code == AO_INT4 ? "int4" : code == AO_TABLE ? "table" : ao_dtype_name(code);
}

int64_t source_row_bytes(const Packed* w) {
  return w->source == AO_INT4 ? (w->k + 1) / 2 : w->source == AO_TABLE ? w->k : w->k * ao_dtype_size(w->source);
}

bool describe_packed(Packed* w, int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain,
                     int64_t scale_dtype, int64_t zero_dtype, int64_t activation, int64_t bits, char* err,
                     int err_size) {
  const bool sparse = code & AO_TWO_OF_FOUR;
  code &= ~(int64_t)AO_TWO_OF_FOUR;
  const char* reason = sparse ? sparse_refusal(code, k, group, zero_domain, activation, bits) : nullptr;
  if (sparse) k /= 2, group /= 2;
  if (!reason) reason = refusal(code, n, k, group, zero_domain, scale_dtype, zero_dtype, activation, bits);
  if (reason) {
    snprintf(err, err_size, "a %s weight [%lld, %lld] with groups of %lld cannot be packed: %s", weight_code_name(code),
             (long long)n, (long long)k, (long long)group, reason);
    return false;
  }
  const bool coded = has_scale(code);
  const int64_t panel_code = panel_code_of(code, bits, activation);
  memset(w, 0, sizeof *w);
  w->magic = kPackedMagic;
  w->version = kPackedVersion;
  w->code = (int32_t)panel_code;
  w->source = (int32_t)code;
  w->bits = panel_code == AO_TABLE ? (int32_t)table_bits(code, bits) : 0;
  w->values = panel_code != code ? kSignedValues : kAnyValues;
  w->zero_domain = (int32_t)zero_domain;
  w->scale_dtype = coded ? (int32_t)scale_dtype : AO_F32;
  w->zero_dtype = zero_domain == AO_ZERO_NONE ? AO_I8 : (int32_t)zero_dtype;
  w->activation = (int32_t)activation;
  w->n = n;
  w->k = k;
  w->group = coded && group < k ? group : k;
  const int64_t per_group = kPanelRows * groups_of(w);
  w->scale_at = round_up_to(code_bytes(panel_code, w->bits, k), 64);
  w->zero_at = w->scale_at + (coded ? round_up_to(per_group * ao_dtype_size(w->scale_dtype), 64) : 0);
  w->sum_at =
      w->zero_at + (zero_domain != AO_ZERO_NONE ? round_up_to(per_group * ao_dtype_size(w->zero_dtype), 64) : 0);
  w->sparse = sparse;
  w->panel_bytes = w->sum_at + (coded && panel_code != AO_TABLE ? 64 : 0) + (sparse ? meta_bytes(columns_of(w)) : 0);
  w->panels_at = kHeaderBytes + (panel_code == AO_TABLE ? (w->bits < 4 ? 16 : 1 << w->bits) * sizeof(float) : 0);
  return true;
}

} // namespace ao

extern "C" int64_t ao_cpu_weight_packed_size(int64_t code, int64_t n, int64_t k, int64_t group_size,
                                             int64_t zero_domain, int64_t scale_dtype, int64_t zero_dtype, int64_t bits,
                                             int64_t activation) {
  ao::Packed w;
  char err[512];
  if (!ao::describe_packed(&w, code, n, k, group_size, zero_domain, scale_dtype, zero_dtype, activation, bits, err,
                           sizeof err))
    return -1;
  return w.panels_at + ao::panels_of(n) * w.panel_bytes;
}
