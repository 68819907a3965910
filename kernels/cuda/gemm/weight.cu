// pack_weight, unpack_weight, gather_packed. What can be packed is what the cpu packs
// (kernels/cpu/gemm/packed.cc says so).
#include "base/ctx.h"
#include "gemm/decode.h"
#include "gemm/linear.h"
#include "gemm/packed.h"
#include "gemm/table_values.h"
#include "libraries/sparse_lt.h"

namespace ao {
namespace {

// What a code is stored as: codes of signed integers count from 0, but for eight bits.
__device__ uint32_t stored(const Weight& w, uint32_t code) {
  return (code ^ static_cast<uint32_t>(bias_of(w))) & ((1u << w.bits) - 1);
}

// The code at column k as the caller has it, whether it has no more bits than said; of columns beyond the end 0.
__device__ uint32_t given_code(const Weight& w, const uint8_t* row, int64_t k, bool* fits) {
  const int half = 1 << (w.bits - 1);
  if (w.source == AO_TABLE) {
    if (row[k] >> w.bits) *fits = false;
    return row[k];
  }
  const int q = w.source == AO_INT4 ? ((row[k / 2] >> (k % 2 * 4) & 15) ^ 8) - 8 : static_cast<int8_t>(row[k]);
  if (q < -half || q >= half) *fits = false;
  return static_cast<uint32_t>(q);
}

// A thread a lane of a tile: the rows [from, to) of the weight's codes.
__global__ void pack_codes_kernel(Weight w, uint8_t* out, uint8_t* odd, const uint8_t* codes, const uint8_t* meta,
                                  int64_t source_bytes, int64_t from, int64_t to, Site site) {
  const int64_t first = from / kTileRows, panels = (to + kTileRows - 1) / kTileRows - first;
  const int64_t whole_to = to == w.n ? w.panels() * kTileRows : to; // the last rows' padding too
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < panels * w.tiles() * kWarp;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int lane = static_cast<int>(p % kWarp);
    const int64_t tile = p / kWarp % w.tiles(), panel = first + p / kWarp / w.tiles();
    uint8_t* const at = out + (panel * w.tiles() + tile) * w.tile_bytes();
    uint8_t* const meta_at = w.meta ? out + (w.meta - w.codes) + (panel * w.tiles() + tile) * 256 : at + 128 * w.bits;
    uint32_t code[32], spots[2] = {}, mask[2] = {};
    bool rows[2];
    for (int h = 0; h < 2; h++) {
      const int64_t row = panel * kTileRows + lane / 4 + 8 * h;
      rows[h] = row >= from && row < whole_to;
      bool fits = true, finite = true;
      for (int i = 0; i < 16; i++) {
        const int64_t k = tile * kTileColumns + i / 4 * 16 + lane % 4 * 4 + i % 4;
        const int pair = i / 4 * 4 + i % 4 / 2 * 2 + h;
        uint32_t q = 0;
        if (w.values != kFloats && rows[h] && row < w.n && k < w.k)
          q = given_code(w, codes + (row - from) * source_bytes, k, &fits);
        if (w.values == kSmallFloat && w.special &&
            (q & ((1u << (w.bits - 1)) - 1)) >= static_cast<uint32_t>(w.special))
          finite = false;
        code[2 * pair + i % 2] = stored(w, q);
        if (!w.sparse) continue;
        const int shift = pair % 8 * 4 + i % 2 * 2;
        if (rows[h]) mask[pair / 8] |= 3u << shift;
        if (rows[h] && row < w.n && k < w.k)
          spots[pair / 8] |= (meta[(row - from) * (w.k / 4) + k / 4] >> (k % 4 * 2) & 3u) << shift;
      }
      if (!fits) report(site, kCodeWide, row, w.bits);
      if (!finite && row < w.n) odd[row] = 1;
    }
    const auto put_word = [&](uint8_t* to, uint32_t v, uint32_t m) {
      uint32_t* word = reinterpret_cast<uint32_t*>(to);
      *word = m == ~0u ? v : (*word & ~m) | (v & m);
    };
    if (w.values != kFloats)
      each_plane(w.bits, [&](int width, int shift, int plane) {
        const int pairs = 16 / width;
        for (int word = 0; word < width; word++) {
          uint32_t v = 0, m = 0;
          for (int i = 0; i < pairs; i++) {
            const int pair = word * pairs + i;
            const uint32_t ones = (1u << width) - 1;
            for (int second = 0; second < 2; second++) {
              v |= (code[2 * pair + second] >> shift & ones) << (i * width + 16 * second);
              if (rows[pair % 2]) m |= ones << (i * width + 16 * second);
            }
          }
          put_word(at + plane + word_at(width, lane, word), v, m);
        }
      });
    if (w.sparse)
      for (int word = 0; word < 2; word++) put_word(meta_at + lane * 8 + word * 4, spots[word], mask[word]);
  }
}

__global__ void unpack_codes_kernel(Weight w, uint8_t* out, int64_t out_bytes, int64_t row, int64_t rows) {
  const uint32_t flip = static_cast<uint32_t>(bias_of(w)), half = 1u << (w.bits - 1);
  const auto given = [&](int64_t r, int64_t k) {
    const uint32_t code = code_at(w, row + r, k) ^ flip;
    return w.source == AO_TABLE ? code : (code ^ half) - half; // extends the sign
  };
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < rows * out_bytes;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t r = p / out_bytes, i = p % out_bytes;
    if (w.source == AO_INT4)
      out[p] = static_cast<uint8_t>((given(r, 2 * i) & 15) | (2 * i + 1 < w.k ? given(r, 2 * i + 1) << 4 : 0));
    else
      out[p] = static_cast<uint8_t>(given(r, i));
  }
}

__global__ void unpack_meta_kernel(Weight w, uint8_t* out, int64_t row, int64_t rows) {
  const int64_t bytes = w.k / 4;
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < rows * bytes;
       p += int64_t{gridDim.x} * blockDim.x) {
    int byte = 0;
    for (int i = 0; i < 4; i++) byte |= spot_at(w, row + p / bytes, p % bytes * 4 + i) << 2 * i;
    out[p] = static_cast<uint8_t>(byte);
  }
}

// Scales or zero points, values of `size` bytes: rows [row, row + rows) between [rows][groups] and their places (base/weight.h).
__global__ void part_kernel(Weight w, uint8_t* packed, uint8_t* plain, int size, int64_t row, int64_t rows,
                            bool unpack) {
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < rows * w.groups;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t at = w.part_at(row + p / w.groups, p % w.groups);
    if (unpack)
      move(plain, p, packed, at, size);
    else
      move(packed, at, plain, p, size);
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
  w.row_bytes = coded ? 0 : w.k * ao_dtype_size(w.source);
  int64_t at = 0;
  const auto part = [&](int64_t bytes) {
    const int64_t here = at;
    at += (bytes + 15) / 16 * 16;
    return here;
  };
  const int64_t values = w.panels() * kTileRows * w.groups;
  part(coded ? w.panels() * w.tiles() * w.tile_bytes() : w.n * w.row_bytes);
  l.scale_at = coded ? part(values * ao_dtype_size(w.scale_dtype)) : 0;
  l.zero_at = w.zero_domain != AO_ZERO_NONE ? part(values * ao_dtype_size(w.zero_dtype)) : 0;
  l.table_at = w.values == kTable ? part((int64_t{1} << w.bits) * 4) : 0;
  l.meta_at = w.sparse && !coded ? part(w.panels() * w.tiles() * 256) : 0;
  l.odd_at = w.values == kTable ? part(w.n) : 0;
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
  if (l.odd_at) w.odd = base + l.odd_at;
  if (l.sums_at) w.sums = reinterpret_cast<const float*>(base + l.sums_at);
  return w;
}

// What kind of numbers a table on the device holds.
static int recognize(ao_ctx* ctx, const float* table, Weight* w) {
  std::vector<float> values(size_t{1} << w->bits);
  if (check_cuda(ctx, "pack_weight",
                 cudaMemcpyAsync(values.data(), table, values.size() * 4, cudaMemcpyDeviceToHost, ctx->stream)) ||
      check_cuda(ctx, "pack_weight", cudaStreamSynchronize(ctx->stream)))
    return 1;
  Packed p{};
  p.bits = w->bits;
  recognize_table(&p, values.data());
  if (p.values == ao::kSignedValues) w->values = kSigned;
  if (p.values == kUnsignedValues && w->bits < 8) w->values = kUnsigned;
  if (p.values == kSmallFloats) w->values = kSmallFloat, w->exponent_bits = p.exponent_bits, w->special = p.special;
  return 0;
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

int pack_rows(ao_ctx* ctx, const ao_pack_weight_args* a, const Weight& w) {
  const char* op = "pack_weight";
  uint8_t* base = static_cast<uint8_t*>(a->packed);
  const auto own = [&](const void* part) { return base + (static_cast<const uint8_t*>(part) - base); };
  const bool coded = w.values != kFloats;
  if (!coded && copy(ctx, base + a->row * w.row_bytes, a->codes, static_cast<size_t>(a->rows * w.row_bytes))) return 1;
  uint8_t* odd = w.odd ? own(w.odd) : nullptr;
  if (odd && clear(ctx, odd + a->row, static_cast<size_t>(a->rows))) return 1;
  if ((coded || w.sparse) &&
      launch(ctx, op, pack_codes_kernel, blocks_for(ctx, (a->rows / kTileRows + 2) * w.tiles() * kWarp), kThreads, 0, w,
             base, odd, static_cast<const uint8_t*>(a->codes), static_cast<const uint8_t*>(a->meta), source_bytes_of(w),
             a->row, a->row + a->rows, ctx->site))
    return 1;
  const auto place = [&](const void* part, const void* from, int64_t dtype) {
    return launch(ctx, op, part_kernel, blocks_for(ctx, a->rows * w.groups), kThreads, 0, w, own(part),
                  static_cast<uint8_t*>(const_cast<void*>(from)), ao_dtype_size(dtype), a->row, a->rows, false);
  };
  if (w.scale && place(w.scale, a->scale, w.scale_dtype)) return 1;
  if (w.zero && place(w.zero, a->zero, w.zero_dtype)) return 1;
  if (w.table && copy(ctx, own(w.table), a->table, (size_t{1} << w.bits) * 4)) return 1;
  if (!w.sums) return 0;
  return launch(ctx, op, row_sums_kernel, blocks_for(ctx, a->rows), kThreads, 0, w,
                reinterpret_cast<float*>(own(w.sums)), a->row, a->rows);
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
  Weight w = place_weight(l, a->packed);
  if (w.table && recognize(ctx, static_cast<const float*>(a->table), &w)) return 1; // packing is never captured
  ctx->weights[a->packed] = w;
  ctx->packing = true;
  return a->rows ? pack_rows(ctx, a, w) : 0;
}

extern "C" int ao_cuda_unpack_weight(const ao_unpack_weight_args* a, ao_ctx* ctx) {
  const char* op = "unpack_weight";
  const Weight* w = find_weight(ctx, op, a->packed, a->n, a->k);
  if (!w) return 1;
  if (a->row < 0 || a->rows < 0 || a->row + a->rows > a->n)
    return ao_fail(ctx, "unpack_weight: rows [%lld, %lld) of %lld", (long long)a->row, (long long)(a->row + a->rows),
                   (long long)a->n);
  if (a->rows == 0) return 0;
  const int64_t bytes = source_bytes_of(*w);
  if (a->codes && w->values == kFloats &&
      copy(ctx, a->codes, w->codes + a->row * bytes, static_cast<size_t>(a->rows * bytes)))
    return 1;
  if (a->codes && w->values != kFloats &&
      launch(ctx, op, unpack_codes_kernel, blocks_for(ctx, a->rows * bytes), kThreads, 0, *w,
             static_cast<uint8_t*>(a->codes), bytes, a->row, a->rows))
    return 1;
  const auto part = [&](void* to, const void* from, int64_t dtype) {
    return launch(ctx, op, part_kernel, blocks_for(ctx, a->rows * w->groups), kThreads, 0, *w,
                  static_cast<uint8_t*>(const_cast<void*>(from)), static_cast<uint8_t*>(to), ao_dtype_size(dtype),
                  a->row, a->rows, true);
  };
  if (a->scale && w->scale && part(a->scale, w->scale, w->scale_dtype)) return 1;
  if (a->zero && w->zero && part(a->zero, w->zero, w->zero_dtype)) return 1;
  if (!a->meta || !w->sparse) return 0;
  return launch(ctx, op, unpack_meta_kernel, blocks_for(ctx, a->rows * w->k / 4), kThreads, 0, *w,
                static_cast<uint8_t*>(a->meta), a->row, a->rows);
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
