// A few rows of x times weights as they are packed, each byte of a weight read once: a warp has two rows of a weight, its lanes the
// chunks of a step (base/weight.h), x lies in shared memory as float32. float32 sums: lanes, then halves of the warp.
#include "base/block.h"
#include "gemm/decode.h"
#include "gemm/linear.h"

namespace ao {
namespace {

constexpr int kWarps = 8, kRowsPerWarp = 2, kBlockRows = kWarps * kRowsPerWarp;
constexpr int kTableRoom = 256;

// Steps of 1,024 columns of x that lie in shared memory at once.
template <int most>
constexpr int steps_held() {
  return most == 1 ? 8 : 1;
}

// x rows [0, m) columns [from, from + count) to shared memory, `stride` floats apart, zeros beyond the end.
__device__ void load_x(float* to, const Rows& x, int64_t first_row, int rows, int64_t from, int64_t columns, int count,
                       int stride) {
  for (int i = threadIdx.x; i < rows * count; i += blockDim.x) {
    const int r = i / count, c = i % count;
    to[r * stride + c] = first_row + r < x.m && from + c < columns
                             ? load_float(x.dtype, x.data, (first_row + r) * x.stride + from + c)
                             : 0.0f;
  }
}

// The words of a lane's chunk, plane after plane: bits words.
template <int bits>
__device__ void load_chunk(uint32_t (&words)[bits], const uint8_t* row, int64_t chunk, int64_t chunks) {
  int at = 0;
  const uint8_t* plane = row;
  const auto take = [&](int width) {
    const uint8_t* p = plane + chunk * 4 * width;
    if (width >= 4) {
      for (int i = 0; i < width / 4; i++) {
        const uint4 v = reinterpret_cast<const uint4*>(p)[i];
        words[at] = v.x, words[at + 1] = v.y, words[at + 2] = v.z, words[at + 3] = v.w;
        at += 4;
      }
    } else if (width == 2) {
      const uint2 v = *reinterpret_cast<const uint2*>(p);
      words[at++] = v.x, words[at++] = v.y;
    } else {
      words[at++] = *reinterpret_cast<const uint32_t*>(p);
    }
    plane += chunks * 4 * width;
  };
  if constexpr (bits == 8) {
    take(8);
  } else {
    if constexpr (bits & 4) take(4);
    if constexpr (bits & 2) take(2);
    if constexpr (bits & 1) take(1);
  }
}

// Code i (0 .. 31) of a chunk.
template <int bits>
__device__ uint32_t code_in(const uint32_t (&words)[bits], int i) {
  if constexpr (bits == 8) return words[i / 4] >> (i % 4 * 8) & 255u;
  uint32_t code = 0;
  int at = 0, shift = 0;
  if constexpr (bits & 4) code = words[i / 8] >> (i % 8 * 4) & 15u, at = 4, shift = 4;
  if constexpr (bits & 2) code |= (words[at + i / 16] >> (i % 16 * 2) & 3u) << shift, at += 2, shift += 2;
  if constexpr (bits & 1) code |= (words[at] >> i & 1u) << shift;
  return code;
}

template <int bits>
__device__ float number_of(const Weight& w, const float* table, uint32_t code) {
  if (w.values == kTable) return table[code];
  if constexpr (bits == 8) return static_cast<float>(static_cast<int8_t>(code));
  // 2^23 + code as a float, less 2^23 and the bias: exact
  return ao_float(0x4b000000u | code) - (8388608.0f + static_cast<float>(1 << (bits - 1)));
}

// One step of a row: its lane's quads times x, for `most` rows of x that lie `stride` floats apart.
template <int bits, int most>
__device__ void add_step(const Weight& w, int64_t row, int64_t step, const float* table, const float* x, int stride,
                         float (&acc)[most]) {
  const int lane = threadIdx.x % kWarp;
  const int64_t chunks = chunks_of(w.k), left = chunks - step * 32;
  const int lanes = left < 32 ? static_cast<int>(left) : 32;
  if (lane >= lanes) return;
  uint32_t words[bits];
  load_chunk<bits>(words, w.codes + row * w.row_bytes, step * 32 + lane, chunks);
#pragma unroll
  for (int quad = 0; quad < 8; quad++) {
    const int within = quad * 4 * lanes + 4 * lane;
    const int64_t k = step * 1024 + within;
    if (k >= w.k) break;
    const int64_t at = row * w.groups + k / w.group;
    const float s = load_float(w.scale_dtype, w.scale, at);
    const float z = w.zero_domain == AO_ZERO_NONE ? 0.0f : load_float(w.zero_dtype, w.zero, at);
    float q[4];
    for (int i = 0; i < 4; i++) {
      const float number = number_of<bits>(w, table, code_in<bits>(words, quad * 4 + i));
      q[i] = w.zero_domain == AO_ZERO_FLOAT ? fmaf(number, s, z) : (number - z) * s;
    }
    for (int m = 0; m < most; m++) {
      const float4 v = *reinterpret_cast<const float4*>(x + m * stride + within);
      acc[m] = fmaf(q[0], v.x, fmaf(q[1], v.y, fmaf(q[2], v.z, fmaf(q[3], v.w, acc[m]))));
    }
  }
}

template <int most>
__device__ void finish(const Store& store, const Rows& x, int64_t first_row, int64_t out_row, int64_t row,
                       float (&acc)[most]) {
  for (int m = 0; m < most; m++) {
    const float sum = reduce_warp(acc[m], Sum());
    if (threadIdx.x % kWarp == 0 && first_row + m < x.m && row < store.n) put(store, out_row + m, row, sum);
  }
}

// What one block does with a weight: rows [block * kBlockRows, ...), rows of x from first_row on.
template <int bits, int most>
__device__ void coded_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row, int64_t out_row,
                            int64_t block, float* shared) {
  constexpr int held = steps_held<most>() * 1024;
  float* table = shared + most * held;
  if (w.values == kTable)
    for (int i = threadIdx.x; i < 1 << bits; i += blockDim.x) table[i] = w.table[i];
  const int64_t row = block * kBlockRows + threadIdx.x / kWarp * kRowsPerWarp;
  float acc[kRowsPerWarp][most] = {};
  for (int64_t from = 0; from < w.k; from += held) {
    const int64_t left = (w.k - from + 31) / 32 * 32;
    __syncthreads();
    load_x(shared, x, first_row, most, from, w.k, left < held ? static_cast<int>(left) : held, held);
    __syncthreads();
    for (int64_t step = from / 1024; step * 1024 < w.k && step * 1024 < from + held; step++)
      for (int r = 0; r < kRowsPerWarp; r++)
        if (row + r < w.n) add_step<bits, most>(w, row + r, step, table, shared + (step * 1024 - from), held, acc[r]);
  }
  for (int r = 0; r < kRowsPerWarp; r++) finish<most>(store, x, first_row, out_row, row + r, acc[r]);
}

template <int d, int most>
__device__ void float_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row, int64_t out_row,
                            int64_t block, float* shared) {
  constexpr int held = steps_held<most>() * 1024, piece = d == AO_F32 ? 4 : 8;
  const int64_t row = block * kBlockRows + threadIdx.x / kWarp * kRowsPerWarp;
  const int lane = threadIdx.x % kWarp;
  const bool wide = w.row_bytes % 16 == 0 && reinterpret_cast<uintptr_t>(w.codes) % 16 == 0;
  float acc[kRowsPerWarp][most] = {};
  for (int64_t from = 0; from < w.k; from += held) {
    const int64_t left = w.k - from, count = left < held ? left : held;
    __syncthreads();
    load_x(shared, x, first_row, most, from, w.k, static_cast<int>((count + 31) / 32 * 32), held);
    __syncthreads();
    for (int r = 0; r < kRowsPerWarp; r++) {
      if (row + r >= w.n) continue;
      const uint8_t* codes = w.codes + (row + r) * w.row_bytes;
      const int64_t pieces = wide ? count / piece : 0;
      for (int64_t p = lane; p < pieces; p += kWarp) {
        const uint4 raw = *reinterpret_cast<const uint4*>(codes + (from + p * piece) * (16 / piece));
        const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
        float v[piece];
        for (int i = 0; i < 4; i++) {
          if constexpr (d == AO_F32) {
            v[i] = ao_float(word[i]);
          } else {
            const uint16_t low = static_cast<uint16_t>(word[i]), high = static_cast<uint16_t>(word[i] >> 16);
            v[2 * i] = d == AO_BF16 ? ao_from_bf16(low) : from_f16(low);
            v[2 * i + 1] = d == AO_BF16 ? ao_from_bf16(high) : from_f16(high);
          }
        }
        for (int m = 0; m < most; m++)
          for (int i = 0; i < piece; i++) acc[r][m] = fmaf(v[i], shared[m * held + p * piece + i], acc[r][m]);
      }
      for (int64_t c = pieces * piece + lane; c < count; c += kWarp) {
        const float v = load<d>(codes, from + c);
        for (int m = 0; m < most; m++) acc[r][m] = fmaf(v, shared[m * held + c], acc[r][m]);
      }
    }
  }
  for (int r = 0; r < kRowsPerWarp; r++) finish<most>(store, x, first_row, out_row, row + r, acc[r]);
}

// Columns that are not there cost nothing: a kept code picks its x.
template <int most>
__device__ void sparse_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row, int64_t out_row,
                             int64_t block) {
  const int64_t row = block * kBlockRows + threadIdx.x / kWarp * kRowsPerWarp;
  const int lane = threadIdx.x % kWarp;
  for (int r = 0; r < kRowsPerWarp; r++) {
    float acc[most] = {};
    for (int64_t k = lane; row + r < w.n && k < w.k; k += kWarp) {
      const int nibble = w.meta[(row + r) * (w.k / 4) + k / 4] >> (k / 2 % 2 * 4) & 15;
      const int64_t column = k / 2 * 4 + (k % 2 ? nibble >> 2 : nibble & 3);
      const float v = kept_value(w, row + r, k);
      for (int m = 0; m < most; m++)
        if (first_row + m < x.m)
          acc[m] = fmaf(v, load_float(x.dtype, x.data, (first_row + m) * x.stride + column), acc[m]);
    }
    finish<most>(store, x, first_row, out_row, row + r, acc);
  }
}

// A form of weight as a constant: 1 to 8 bits, or a float dtype from kFloatForm on, or 2:4.
constexpr int kFloatForm = 16, kSparseForm = 32;

template <int form, int most>
__device__ void run_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row, int64_t out_row,
                          int64_t block, float* shared) {
  if constexpr (form == kSparseForm)
    sparse_block<most>(w, store, x, first_row, out_row, block);
  else if constexpr (form >= kFloatForm)
    float_block<form - kFloatForm, most>(w, store, x, first_row, out_row, block, shared);
  else
    coded_block<form, most>(w, store, x, first_row, out_row, block, shared);
}

template <int form, int most>
__global__ void few_rows_kernel(Targets targets, Rows x) {
  AO_SHARED(float, shared);
  const Target& t = targets.at[blockIdx.y];
  if (int64_t{blockIdx.x} * kBlockRows >= t.w.n) return;
  run_block<form, most>(t.w, t.store, x, 0, 0, blockIdx.x, shared);
}

// One row of out: x and weight by what was chosen for it.
template <int form>
__global__ void experts_kernel(Experts experts, Rows x, Store store) {
  AO_SHARED(float, shared);
  const int64_t row = blockIdx.y, expert = experts.index[row] - experts.first;
  if (expert < 0 || expert >= experts.count) return;
  x.m = row / experts.per_x + 1; // the last row that there is, for this block
  run_block<form, 1>(experts.at[expert], store, x, row / experts.per_x, row, blockIdx.x, shared);
}

int form_of(const Weight& w) { return w.sparse ? kSparseForm : w.values == kFloats ? kFloatForm + w.source : w.bits; }

// Calls fn with the form as a constant.
template <int n>
struct Form {
  static constexpr int value = n;
};
template <class Fn>
int by_form(int form, const Fn& fn) {
  switch (form) {
  case 1:
    return fn(Form<1>());
  case 2:
    return fn(Form<2>());
  case 3:
    return fn(Form<3>());
  case 4:
    return fn(Form<4>());
  case 5:
    return fn(Form<5>());
  case 6:
    return fn(Form<6>());
  case 7:
    return fn(Form<7>());
  case 8:
    return fn(Form<8>());
  case kFloatForm + AO_F32:
    return fn(Form<kFloatForm + AO_F32>());
  case kFloatForm + AO_F16:
    return fn(Form<kFloatForm + AO_F16>());
  case kFloatForm + AO_BF16:
    return fn(Form<kFloatForm + AO_BF16>());
  default:
    return fn(Form<kSparseForm>());
  }
}

size_t shared_for(int form, int most) {
  if (form == kSparseForm) return 0;
  const int held = (most == 1 ? steps_held<1>() : steps_held<8>()) * 1024;
  return static_cast<size_t>(most * held + kTableRoom) * sizeof(float);
}

} // namespace

int few_rows(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x) {
  if (x.m == 0) return 0;
  // weights of one form go in one launch
  for (int first = 0; first < count;) {
    Targets some{};
    const int form = form_of(targets.at[first].w);
    int n = 0;
    int64_t blocks = 1;
    for (; first < count && form_of(targets.at[first].w) == form; first++) {
      some.at[n++] = targets.at[first];
      const int64_t b = ceil_div(targets.at[first].w.n, kBlockRows);
      blocks = b > blocks ? b : blocks;
    }
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(n));
    if (by_form(form, [&](auto tag) {
          constexpr int f = decltype(tag)::value;
          return x.m == 1 ? launch(ctx, op, few_rows_kernel<f, 1>, grid, kWarps * kWarp, shared_for(f, 1), some, x)
                          : launch(ctx, op, few_rows_kernel<f, 8>, grid, kWarps * kWarp, shared_for(f, 8), some, x);
        }))
      return 1;
  }
  return 0;
}

int few_rows_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                        const Store& store) {
  if (rows > 65535) return ao_fail(ctx, "%s: %lld rows; the GPU takes 65535", op, (long long)rows);
  const int form = form_of(experts.at[0]);
  for (int64_t i = 1; i < experts.count; i++)
    if (form_of(experts.at[i]) != form) return ao_fail(ctx, "%s: experts of different formats", op);
  const dim3 grid(static_cast<unsigned>(ceil_div(store.n, kBlockRows)), static_cast<unsigned>(rows));
  return by_form(form, [&](auto tag) {
    constexpr int f = decltype(tag)::value;
    return launch(ctx, op, experts_kernel<f>, grid, kWarps * kWarp, shared_for(f, 1), experts, x, store);
  });
}

} // namespace ao
