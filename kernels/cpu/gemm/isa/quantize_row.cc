// One row of x to int8 codes as gemm/activation.h defines them, in the units the integer kernels of this ISA read, padded with 0 to
// a multiple of 8 columns.
#include "gemm/activation.h"

#include "gemm/isa/vec.h"
#include "gemm/kernels.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

template <class Code>
void lay_out(const int8_t* codes, int64_t k8, uint32_t* units) {
  if (Code::kUnits == 1) {
    memcpy(units, codes, k8);
    return;
  }
  int16_t* pairs = (int16_t*)units;
  for (int64_t i = 0; i < k8; i += 4) {
    pairs[i] = codes[i];
    pairs[i + 1] = codes[i + 2];
    pairs[i + 2] = codes[i + 1];
    pairs[i + 3] = codes[i + 3];
  }
}

} // namespace

// `codes` is scratch of k rounded up to 8 bytes.
void quantize_row(const Packed* w, int32_t dtype, float eps, const float* x, const IntRows& out, int64_t row,
                  int8_t* codes, uint32_t* units) {
  const int64_t k = columns_of(w), k8 = (k + 7) / 8 * 8, segments = out.segments, segment = out.segment;
  const int64_t per_group = (group_columns(w) + segment - 1) / segment;
  // with an integer zero point the offset is part of it
  const int32_t offset = w->zero_domain == AO_ZERO_INT ? 0 : w->code == AO_INT4 ? Int4::kOffset : Int8::kOffset;
  memset(codes + k, 0, k8 - k);
  float s = 1;
  if (out.token) {
    const bool asymmetric = w->activation == AO_ACT_INT8_TOKEN_ASYM;
    int32_t zero;
    if (!out.forms) {
      out.s[row] = quantize_token(dtype, asymmetric, eps, x, k, codes, &zero, out.reduced);
    } else {
      const bool finite = amax_bits(x, k) < 0x7f800000u;
      zero = finite ? out.forms[row].zero : 0;
      const int32_t steps = asymmetric && !out.given ? dtype : AO_F32;
      out.s[row] =
          finite ? code_token(steps, out.forms[row], code_range(out.reduced), x, k, codes) : quantize_bad(codes, k);
    }
    if (out.shift) out.shift[row] = out.s[row] * (float)zero;
  }
  float total = 0;
  for (int64_t i = 0; i < segments; i++) {
    const int64_t begin = i * segment, count = k - begin < segment ? k - begin : segment, at = i * out.rows + row;
    if (!out.token) out.s[at] = s = quantize_group(x + begin, count, codes + begin);
    int32_t sum = 0;
    for (int64_t j = 0; j < count; j++) sum += codes[begin + j];
    out.sum[at] = sum;
    out.offset[at] = -sum * offset;
    total += s * (float)sum;
    if ((i + 1) % per_group && i + 1 < segments) continue;
    out.total[i / per_group * out.rows + row] = total;
    total = 0;
  }
  if (w->code == AO_INT4)
    lay_out<Int4>(codes, k8, units);
  else
    lay_out<Int8>(codes, k8, units);
}

} // namespace AO_ISA_NS
} // namespace ao
