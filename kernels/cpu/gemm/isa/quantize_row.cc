// One row of x to int8 codes as gemm/activation.h defines them, in the form the integer kernels of this ISA read, padded with 0 to a
// multiple of 8.
#include "gemm/activation.h"

#include "gemm/isa/vec.h"
#include "gemm/kernels.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

template <class Code>
void lay_out(const int8_t* codes, int64_t k8, void* out) {
  if (sizeof(typename Code::X) == 1) {
    memcpy(out, codes, k8);
    return;
  }
  int16_t* pairs = (int16_t*)out;
  for (int64_t i = 0; i < k8; i += 4) {
    pairs[i] = codes[i];
    pairs[i + 1] = codes[i + 2];
    pairs[i + 2] = codes[i + 1];
    pairs[i + 3] = codes[i + 3];
  }
}

} // namespace

int64_t int_code_bytes(int32_t code) { return code == AO_INT4 ? sizeof(Int4::X) : sizeof(Int8::X); }

// `codes` is scratch of k rounded up to 8 bytes.
void quantize_row(const Packed* w, int32_t dtype, float eps, const float* x, const IntRows& out, int64_t row,
                  int8_t* codes) {
  const int64_t k = w->k, k8 = (k + 7) / 8 * 8, segments = out.segments, segment = out.segment;
  const int32_t offset = w->code == AO_INT4 ? Int4::kOffset : Int8::kOffset;
  memset(codes + k, 0, k8 - k);
  const bool grouped = w->activation == AO_ACT_INT8_GROUP;
  float s = 0;
  if (!grouped) {
    int32_t zero;
    s = quantize_token(dtype, w->activation == AO_ACT_INT8_TOKEN_ASYM, eps, x, k, codes, &zero);
    if (out.shift) out.shift[row] = s * (float)zero;
  }
  for (int64_t i = 0; i < segments; i++) {
    const int64_t begin = i * segment, count = k - begin < segment ? k - begin : segment, at = i * out.rows + row;
    if (grouped) s = quantize_group(x + begin, count, codes + begin);
    int32_t sum = 0;
    for (int64_t j = 0; j < count; j++) sum += codes[begin + j];
    out.s[at] = s;
    out.sum[at] = sum;
    out.offset[at] = sum * offset;
    out.total[at] = s * (float)sum;
  }
  char* to = (char*)out.q;
  if (w->code == AO_INT4)
    lay_out<Int4>(codes, k8, to + row * out.stride * sizeof(Int4::X));
  else
    lay_out<Int8>(codes, k8, to + row * out.stride * sizeof(Int8::X));
}

} // namespace AO_ISA_NS
} // namespace ao
