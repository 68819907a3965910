// ao_ctx: threads from AO_NUM_THREADS or the machine, the ISA from AO_ISA or the machine, scratch as a growing arena.
#include "base/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <new>

#include "base/pool.h"
#include "base/threads.h"

namespace {
constexpr size_t kAlign = 64, kSlack = 64, kFirstBlock = 1 << 16, kKeep = size_t{64} << 20;
size_t round_up(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }
} // namespace

extern "C" {

ao_ctx* ao_ctx_create(int threads, const char* isa, char* err, size_t err_size) {
  if (!isa || !*isa) isa = getenv("AO_ISA");
  ao_isa chosen;
  if (!ao::choose_isa(isa, &chosen, err, err_size)) return nullptr;
  if (threads < 0 || threads > 1024) {
    snprintf(err, err_size, "threads is %d; it takes 1..1024, or 0 for the machine's number", threads);
    return nullptr;
  }
  const char* text = getenv("AO_NUM_THREADS");
  if (threads == 0 && !ao::threads_from_environment(text, &threads)) {
    snprintf(err, err_size, "AO_NUM_THREADS is '%s'; it takes an integer of 1..1024", text);
    return nullptr;
  }
  if (threads == 0) threads = ao::default_threads();
  ao_ctx* ctx = new (std::nothrow) ao_ctx;
  if (!ctx) {
    snprintf(err, err_size, "out of memory");
    return nullptr;
  }
  ctx->isa = chosen;
  ctx->threads = ao::Pool::acquire(threads);
  return ctx;
}

void ao_ctx_destroy(ao_ctx* ctx) {
  if (!ctx) return;
  ao::Pool::release();
  for (const ao_ctx::Block& block : ctx->blocks) free(block.data);
  delete ctx;
}

int ao_ctx_threads(const ao_ctx* ctx) { return ctx->threads; }
ao_isa ao_ctx_isa(const ao_ctx* ctx) { return ctx->isa; }

void ao_parallel_for(ao_ctx* ctx, int64_t n, int64_t chunk, ao_range_fn fn, void* arg) {
  if (n <= 0) return;
  if (chunk < 1) chunk = 1;
  ao::Pool* pool = ctx->threads > 1 && n > chunk ? ao::Pool::get() : nullptr;
  if (pool) return pool->run(ctx->threads, n, chunk, fn, arg);
  for (int64_t begin = 0; begin < n; begin += chunk) fn(arg, begin, std::min(begin + chunk, n), 0);
}

void* ao_scratch(ao_ctx* ctx, size_t bytes) {
  if (bytes > SIZE_MAX / 4) return nullptr;
  const size_t need = round_up(bytes + kSlack);
  if (ctx->blocks.empty() || ctx->blocks.back().size - ctx->used < need) {
    const size_t last = ctx->blocks.empty() ? kFirstBlock / 2 : ctx->blocks.back().size;
    const size_t size = std::max(need, std::min(2 * last, kKeep));
    char* data = static_cast<char*>(aligned_alloc(kAlign, size));
    if (!data) return nullptr;
    ctx->blocks.push_back({data, size});
    ctx->used = 0;
  }
  void* result = ctx->blocks.back().data + ctx->used;
  ctx->used += need;
  return result;
}

int ao_fail(ao_ctx* ctx, const char* format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(ctx->error, sizeof ctx->error, format, args);
  va_end(args);
  return 1;
}

const char* ao_ctx_error(const ao_ctx* ctx) { return ctx->error; }

// The last block is the largest of them; it stays for the next command unless it is huge.
void ao_ctx_reset(ao_ctx* ctx) {
  ctx->error[0] = 0;
  ctx->used = 0;
  while (ctx->blocks.size() > 1 || (!ctx->blocks.empty() && ctx->blocks.back().size > kKeep)) {
    free(ctx->blocks.front().data);
    ctx->blocks.erase(ctx->blocks.begin());
  }
}

} // extern "C"
