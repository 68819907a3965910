// What sdpa and its gradient share: where rows lie and which keys a query sees (kernels/cpu/ops/sdpa.cc).
#pragma once
#include "base/ctx.h"
#include "base/elements.h"
#include "ops/code_row.h"

namespace ao {

struct Attention {
  const void *q, *k, *v;
  const float* mask;
  const int32_t* pos;
  int64_t pos_count, batch, tokens, q_heads, kv_heads, dim, v_dim, keys, past, causal, window;
  int64_t q_strides[3], k_strides[3], v_strides[3], mask_strides[4];
  int64_t dtype, kv_dtype, heads_of_key;
  CodeRows k_rows, v_rows;
  float scale, softcap;
  __device__ int64_t group() const { return heads_of_key; }
  __device__ int64_t first(int64_t b) const { return !pos ? past : pos[pos_count == 1 ? 0 : b % pos_count]; }
  __device__ const uint8_t* k_row(int64_t b, int64_t head, int64_t j) const {
    const int64_t at = b * k_strides[0] + head * k_strides[1] + j * k_strides[2];
    return static_cast<const uint8_t*>(k) + at * (k_rows.bits ? 1 : ao_dtype_size(kv_dtype));
  }
  __device__ const uint8_t* v_row(int64_t b, int64_t head, int64_t j) const {
    const int64_t at = b * v_strides[0] + head * v_strides[1] + j * v_strides[2];
    return static_cast<const uint8_t*>(v) + at * (v_rows.bits ? 1 : ao_dtype_size(kv_dtype));
  }
  __device__ float k_value(const uint8_t* row, int64_t i) const {
    return k_rows.bits ? code_row_value(k_rows, row, dim, i) : load_float(kv_dtype, row, i);
  }
  __device__ float v_value(const uint8_t* row, int64_t i) const {
    return v_rows.bits ? code_row_value(v_rows, row, v_dim, i) : load_float(kv_dtype, row, i);
  }
  __device__ int64_t q_at(int64_t b, int64_t t, int64_t h) const {
    return b * q_strides[0] + t * q_strides[1] + h * q_strides[2];
  }
  // Keys [low, high) that token t of sequence b sees.
  __device__ int64_t high(int64_t b, int64_t t) const {
    const int64_t p = first(b), end = p + tokens < keys ? p + tokens : keys;
    return causal ? (p + t + 1 < keys ? p + t + 1 : keys) : pos ? end : keys;
  }
  __device__ int64_t low(int64_t b, int64_t t) const {
    const int64_t from = first(b) + t - window + 1;
    return window > 0 && from > 0 ? from : 0;
  }
  __device__ float mask_of(int64_t b, int64_t h, int64_t t, int64_t j) const {
    return mask ? mask[b * mask_strides[0] + h * mask_strides[1] + t * mask_strides[2] + j * mask_strides[3]] : 0.0f;
  }
  __device__ float capped(float s) const { return softcap > 0 ? softcap * tanhf(s / softcap) : s; }
};

template <class Args>
Attention attention_of(const Args* a) {
  Attention p{};
  p.q = a->q, p.k = a->k, p.v = a->v;
  p.mask = static_cast<const float*>(a->mask), p.pos = static_cast<const int32_t*>(a->pos);
  p.pos_count = a->pos_count, p.batch = a->batch, p.tokens = a->tokens;
  p.q_heads = a->q_heads, p.kv_heads = a->kv_heads, p.dim = a->dim, p.v_dim = a->v_dim;
  p.keys = a->keys, p.past = a->past, p.causal = a->causal, p.window = a->window;
  for (int i = 0; i < 3; i++)
    p.q_strides[i] = a->q_strides[i], p.k_strides[i] = a->k_strides[i], p.v_strides[i] = a->v_strides[i];
  for (int i = 0; i < 4; i++) p.mask_strides[i] = a->mask_strides[i];
  p.dtype = p.kv_dtype = a->dtype, p.heads_of_key = a->q_heads / a->kv_heads;
  p.scale = static_cast<float>(a->scale), p.softcap = static_cast<float>(a->softcap);
  return p;
}

// lse of sdpa (sdpa_lse.cu).
int run_lse(ao_ctx* ctx, float* lse, const Attention& p);

// Reports where queries do not fit their keys.
__global__ void check_attention_kernel(Attention p, Site site);

template <class Args>
int need_attention(ao_ctx* ctx, const char* op, const Args* a) {
  if (need_float(ctx, op, a->dtype)) return 1;
  if (a->kv_heads < 1 || a->q_heads % a->kv_heads || a->dim < 1 || a->v_dim < 1)
    return ao_fail(ctx, "%s: %lld query heads of %lld for %lld key heads; query heads are a multiple of key heads", op,
                   static_cast<long long>(a->q_heads), static_cast<long long>(a->dim),
                   static_cast<long long>(a->kv_heads));
  if (a->v_dim > 512 || a->dim > 512)
    return ao_fail(ctx, "%s: heads of %lld and %lld values; the GPU takes 512", op, static_cast<long long>(a->dim),
                   static_cast<long long>(a->v_dim));
  if (!a->pos && (a->past < 0 || (a->causal && a->past + a->tokens > a->keys)))
    return ao_fail(ctx, "%s: %lld queries at position %lld do not fit %lld keys; make a longer cache or start over", op,
                   static_cast<long long>(a->tokens), static_cast<long long>(a->past), static_cast<long long>(a->keys));
  return 0;
}

} // namespace ao
