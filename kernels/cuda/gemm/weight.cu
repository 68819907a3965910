// pack_weight, unpack_weight, gather_packed, and a weight decoded to a dense matrix. What can be packed is what the cpu packs
// (kernels/cpu/gemm/packed.cc says so).
#include "base/ctx.h"
#include "gemm/decode.h"
#include "gemm/linear.h"
#include "gemm/packed.h"
#include "libraries/sparse_lt.h"

namespace ao {
namespace {

int64_t round_256(int64_t n) { return (n + 255) / 256 * 256; }

// The column of code i of a chunk.
__device__ int64_t column_of(int64_t chunk, int i, int64_t chunks) {
  const int64_t step = chunk / 32, left = chunks - step * 32, lanes = left < 32 ? left : 32;
  return step * 1024 + i / 4 * 4 * lanes + chunk % 32 * 4 + i % 4;
}

__global__ void pack_codes_kernel(Weight w, uint8_t* out, const uint8_t* codes, int64_t source_bytes, int64_t row,
                                  int64_t rows, Site site) {
  const int64_t chunks = chunks_of(w.k);
  const int bias = bias_of(w);
  const uint32_t mask = (1u << w.bits) - 1;
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < rows * chunks;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t r = p / chunks, chunk = p % chunks;
    const uint8_t* from = codes + r * source_bytes;
    uint8_t* to = out + (row + r) * w.row_bytes;
    uint32_t code[32];
    for (int i = 0; i < 32; i++) {
      const int64_t k = column_of(chunk, i, chunks);
      int q = 0;
      if (k < w.k) {
        if (w.source == AO_INT4) {
          const int nibble = from[k / 2] >> (k % 2 * 4) & 15;
          q = (nibble ^ 8) - 8;
        } else {
          q = w.source == AO_I8 ? static_cast<int8_t>(from[k]) : from[k];
        }
      }
      const int from_zero = w.values == kSigned && w.bits == 8 ? q + 128 : q + bias;
      if (from_zero < 0 || from_zero > static_cast<int>(mask)) report(site, kCodeWide, row + r, w.bits);
      code[i] = static_cast<uint32_t>(q + bias) & mask;
    }
    each_plane(w.bits, [&](int width, int shift, int at) {
      uint8_t* plane = to + at * chunks + chunk * 4 * width;
      for (int byte = 0; byte < 4 * width; byte++) {
        uint32_t v = 0;
        for (int bit = 0; bit < 8; bit += width) {
          const int i = (byte * 8 + bit) / width;
          v |= (code[i] >> shift & ((1u << width) - 1)) << bit;
        }
        plane[byte] = static_cast<uint8_t>(v);
      }
    });
  }
}

__global__ void unpack_codes_kernel(Weight w, uint8_t* out, int64_t out_bytes, int64_t row, int64_t rows) {
  const int64_t chunks = chunks_of(w.k);
  const int bias = bias_of(w);
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < rows * out_bytes;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t r = p / out_bytes, i = p % out_bytes;
    const uint8_t* codes = w.codes + (row + r) * w.row_bytes;
    if (w.source == AO_INT4) {
      int byte = 0;
      for (int half = 0; half < 2; half++) {
        const int64_t k = 2 * i + half;
        const int q = k < w.k ? static_cast<int>(code_at(codes, w.bits, k, chunks)) - bias : 0;
        byte |= (q & 15) << 4 * half;
      }
      out[p] = static_cast<uint8_t>(byte);
    } else {
      out[p] = static_cast<uint8_t>(static_cast<int>(code_at(codes, w.bits, i, chunks)) - bias);
    }
  }
}

__global__ void row_sums_kernel(Weight w, float* sums, int64_t row, int64_t rows) {
  for (int64_t r = row + blockIdx.x * int64_t{blockDim.x} + threadIdx.x; r < row + rows;
       r += int64_t{gridDim.x} * blockDim.x) {
    float sum = 0;
    for (int64_t k = 0; k < w.k; k++) sum += kept_value(w, r, k);
    sums[r] = sum;
  }
}

__global__ void gather_kernel(Weight w, void* out, const int32_t* index, int64_t count, int64_t stride, int64_t dtype,
                              Site site) {
  const int size = ao_dtype_size(dtype);
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < count * w.k;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t i = p / w.k, c = p % w.k, row = index[i];
    if (row < 0 || row >= w.n) {
      if (c == 0) report(site, kIndexOutside, row, i, w.n);
      store_float(dtype, out, i * stride + c, 0);
    } else if (w.values == kFloats && w.source == dtype && size == 2) {
      static_cast<uint16_t*>(out)[i * stride + c] =
          reinterpret_cast<const uint16_t*>(w.codes + row * w.row_bytes)[c]; // NaN keeps its bits
    } else {
      store_float(dtype, out, i * stride + c, kept_value(w, row, c));
    }
  }
}

__global__ void dense_kernel(Weight w, void* out, int64_t dtype) {
  const int64_t columns = w.columns();
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < w.n * columns;
       p += int64_t{gridDim.x} * blockDim.x)
    store_float(dtype, out, p, value_at(w, p / columns, p % columns));
}

int copy_rows(ao_ctx* ctx, void* base, const void* from, int64_t row, int64_t rows, int64_t bytes) {
  return copy(ctx, static_cast<uint8_t*>(base) + row * bytes, from, static_cast<size_t>(rows * bytes));
}

int64_t source_bytes_of(const Weight& w) {
  return w.source == AO_INT4 ? (w.k + 1) / 2 : w.source == AO_TABLE ? w.k : w.k * ao_dtype_size(w.source);
}

} // namespace

WeightLayout weight_layout(int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain, int64_t scale_dtype,
                           int64_t zero_dtype, int64_t bits, int64_t activation) {
  static thread_local char reason[512];
  WeightLayout l{};
  Packed p;
  if (!describe_packed(&p, code, n, k, group, zero_domain, scale_dtype, zero_dtype, activation, bits, reason,
                       sizeof reason)) {
    l.bytes = -1, l.refusal = reason;
    return l;
  }
  Weight& w = l.weight;
  w.n = p.n, w.k = p.k, w.group = p.group, w.groups = (p.k + p.group - 1) / p.group;
  w.source = p.source, w.sparse = p.sparse, w.activation = p.activation;
  w.scale_dtype = p.scale_dtype, w.zero_dtype = p.zero_dtype, w.zero_domain = p.zero_domain;
  const bool coded = has_scale(w.source);
  w.values = !coded ? kFloats : w.source == AO_TABLE ? kTable : kSigned;
  w.bits = !coded ? 0 : w.source == AO_INT4 ? 4 : bits == 0 ? 8 : static_cast<int32_t>(bits);
  w.row_bytes = coded ? (chunks_of(w.k) * 4 * w.bits + 15) / 16 * 16 : w.k * ao_dtype_size(w.source);
  int64_t at = round_256(w.n * w.row_bytes);
  const auto part = [&](int64_t bytes) {
    const int64_t here = at;
    at += round_256(bytes);
    return here;
  };
  l.scale_at = coded ? part(w.n * w.groups * ao_dtype_size(w.scale_dtype)) : 0;
  l.zero_at = w.zero_domain != AO_ZERO_NONE ? part(w.n * w.groups * ao_dtype_size(w.zero_dtype)) : 0;
  l.table_at = w.values == kTable ? part((int64_t{1} << w.bits) * 4) : 0;
  l.meta_at = w.sparse ? part(w.n * (w.k / 4)) : 0;
  l.sums_at = w.activation == AO_ACT_INT8_TOKEN_ASYM ? part(w.n * 4) : 0;
  l.bytes = at;
  return l;
}

Weight place_weight(const WeightLayout& l, const void* blob) {
  Weight w = l.weight;
  const uint8_t* base = static_cast<const uint8_t*>(blob);
  w.codes = base;
  if (l.scale_at) w.scale = base + l.scale_at;
  if (l.zero_at) w.zero = base + l.zero_at;
  if (l.table_at) w.table = reinterpret_cast<const float*>(base + l.table_at);
  if (l.meta_at) w.meta = base + l.meta_at;
  if (l.sums_at) w.sums = reinterpret_cast<const float*>(base + l.sums_at);
  return w;
}

const Weight* find_weight(ao_ctx* ctx, const char* op, const void* packed, int64_t n, int64_t columns) {
  const auto found = ctx->weights.find(packed);
  if (found == ctx->weights.end()) return ao_fail(ctx, "%s: the weight was not packed by this stream", op), nullptr;
  const Weight& w = found->second;
  if (w.n == n && w.columns() == columns) return &w;
  ao_fail(ctx, "%s: the packed weight is [%lld, %lld], the call says [%lld, %lld]", op, (long long)w.n,
          (long long)w.columns(), (long long)n, (long long)columns);
  return nullptr;
}

int pack_rows(ao_ctx* ctx, const ao_pack_weight_args* a, const WeightLayout& l) {
  const char* op = "pack_weight";
  const Weight w = place_weight(l, a->packed);
  uint8_t* base = static_cast<uint8_t*>(a->packed);
  if (w.values == kFloats) {
    if (copy_rows(ctx, base, a->codes, a->row, a->rows, w.row_bytes)) return 1;
  } else {
    if (launch(ctx, op, pack_codes_kernel, blocks_for(ctx, a->rows * chunks_of(w.k)), kThreads, 0, w, base,
               static_cast<const uint8_t*>(a->codes), source_bytes_of(w), a->row, a->rows, ctx->site))
      return 1;
    if (copy_rows(ctx, base + l.scale_at, a->scale, a->row, a->rows, w.groups * ao_dtype_size(w.scale_dtype))) return 1;
  }
  if (w.zero && copy_rows(ctx, base + l.zero_at, a->zero, a->row, a->rows, w.groups * ao_dtype_size(w.zero_dtype)))
    return 1;
  if (w.table && copy(ctx, base + l.table_at, a->table, (size_t{1} << w.bits) * 4)) return 1;
  if (w.meta && copy_rows(ctx, base + l.meta_at, a->meta, a->row, a->rows, w.k / 4)) return 1;
  if (!w.sums) return 0;
  return launch(ctx, op, row_sums_kernel, blocks_for(ctx, a->rows), kThreads, 0, w,
                reinterpret_cast<float*>(base + l.sums_at), a->row, a->rows);
}

void* dense_weight(ao_ctx* ctx, const char* op, const Weight& w, int64_t dtype) {
  const int64_t count = w.n * w.columns();
  void* out = scratch_bytes(ctx, static_cast<size_t>(count * ao_dtype_size(dtype)));
  if (!out || launch(ctx, op, dense_kernel, blocks_for(ctx, count), kThreads, 0, w, out, dtype)) return nullptr;
  return out;
}

} // namespace ao

using namespace ao;

extern "C" int64_t ao_cuda_weight_packed_size(int64_t code, int64_t n, int64_t k, int64_t group_size,
                                              int64_t zero_domain, int64_t scale_dtype, int64_t zero_dtype,
                                              int64_t bits, int64_t activation) {
  return weight_layout(code, n, k, group_size, zero_domain, scale_dtype, zero_dtype, bits, activation).bytes;
}

extern "C" int ao_cuda_pack_weight(const ao_pack_weight_args* a, ao_ctx* ctx) {
  const WeightLayout l = weight_layout(a->code, a->n, a->k, a->group_size, a->zero_domain, a->scale_dtype,
                                       a->zero_dtype, a->bits, a->activation);
  if (l.bytes < 0) return ao_fail(ctx, "pack_weight: %s", l.refusal);
  if (a->row < 0 || a->rows < 0 || a->row + a->rows > a->n)
    return ao_fail(ctx, "pack_weight: rows [%lld, %lld) of %lld", (long long)a->row, (long long)(a->row + a->rows),
                   (long long)a->n);
  forget_sparse(ctx, a->packed);
  ctx->weights[a->packed] = place_weight(l, a->packed);
  return a->rows ? pack_rows(ctx, a, l) : 0;
}

extern "C" int ao_cuda_unpack_weight(const ao_unpack_weight_args* a, ao_ctx* ctx) {
  const char* op = "unpack_weight";
  const Weight* w = find_weight(ctx, op, a->packed, a->n, a->k);
  if (!w) return 1;
  if (a->row < 0 || a->rows < 0 || a->row + a->rows > a->n)
    return ao_fail(ctx, "unpack_weight: rows [%lld, %lld) of %lld", (long long)a->row, (long long)(a->row + a->rows),
                   (long long)a->n);
  const auto rows = [&](void* to, const void* from, int64_t bytes) {
    return copy(ctx, to, static_cast<const uint8_t*>(from) + a->row * bytes, static_cast<size_t>(a->rows * bytes));
  };
  if (a->rows == 0) return 0;
  const int64_t bytes = source_bytes_of(*w);
  if (a->codes && w->values == kFloats && rows(a->codes, w->codes, bytes)) return 1;
  if (a->codes && w->values != kFloats &&
      launch(ctx, op, unpack_codes_kernel, blocks_for(ctx, a->rows * bytes), kThreads, 0, *w,
             static_cast<uint8_t*>(a->codes), bytes, a->row, a->rows))
    return 1;
  if (a->scale && w->scale && rows(a->scale, w->scale, w->groups * ao_dtype_size(w->scale_dtype))) return 1;
  if (a->zero && w->zero && rows(a->zero, w->zero, w->groups * ao_dtype_size(w->zero_dtype))) return 1;
  return a->meta && w->meta ? rows(a->meta, w->meta, w->k / 4) : 0;
}

extern "C" int ao_cuda_gather_packed(const ao_gather_packed_args* a, ao_ctx* ctx) {
  const char* op = "gather_packed";
  const Weight* w = find_weight(ctx, op, a->packed, a->n, a->k);
  if (!w || need_float(ctx, op, a->out_dtype)) return 1;
  if (w->sparse) return ao_fail(ctx, "gather_packed: a 2:4 weight has no row gather; unpack it");
  if (a->count == 0) return 0;
  return launch(ctx, op, gather_kernel, blocks_for(ctx, a->count * a->k), kThreads, 0, *w, a->out,
                static_cast<const int32_t*>(a->index), a->count, a->out_stride, a->out_dtype, ctx->site);
}
