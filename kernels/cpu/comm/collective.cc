// collective over TCP. In turn s a rank sends to rank + s and receives from rank - s. Sums are made by one rank for a span of elements, of all
// ranks' values in ascending order in float32, rounded once: every rank gets the same bits.
#include <string.h>

#include "ao/collective.h"
#include "base/ctx.h"
#include "base/dtype.h"
#include "comm/group.h"
#include "comm/sockets.h"

namespace ao {
namespace {

// Goes before each payload, so that ranks that do different things say so instead of waiting or mixing values.
struct Head {
  uint64_t call;
  int64_t what, n, dtype, reduce, root;
};

constexpr const char* kNames[] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast"};
constexpr const char* kReduces[] = {"sum", "avg", "max", "min"};

std::string text_of(const Head& h) {
  static const char* const dtypes[] = {"float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2",
                                       "int8",    "uint8",   "int32",    "int64",         "bool"};
  if (h.what < 0 || h.what > AO_BROADCAST) return "something unknown";
  std::string text = std::string(kNames[h.what]) + " of " +
                     (h.dtype >= 0 && h.dtype < 10 ? dtypes[h.dtype] : "a dtype unknown") + "[" + std::to_string(h.n) +
                     "]";
  if (h.what == AO_ALL_REDUCE || h.what == AO_REDUCE_SCATTER) text += std::string(" by ") + kReduces[h.reduce & 3];
  if (h.what == AO_BROADCAST) text += " from rank " + std::to_string(h.root);
  return text + ", its call " + std::to_string(h.call);
}

struct Call {
  ao_ctx* ctx;
  Group* g;
  Head head;
  size_t item;

  int fail(int rank, const std::string& why) {
    g->broken = "rank " + std::to_string(g->rank) + " of " + std::to_string(g->size) + ", " + text_of(head) +
                ": rank " + std::to_string(rank) + " " + why;
    g->close_all();
    return ao_fail(ctx, "%s", g->broken.c_str());
  }

  // Sends `out` to rank `to` and receives `in` from rank `from`; either may be null.
  int swap(int to, const void* out, size_t out_size, int from, void* in, size_t in_size) {
    Head mine = head, theirs{};
    Lane a{}, b{};
    if (out)
      a = {g->sockets[static_cast<size_t>(to)], reinterpret_cast<uint8_t*>(&mine), sizeof mine,
           static_cast<uint8_t*>(const_cast<void*>(out)), out_size};
    if (in)
      b = {g->sockets[static_cast<size_t>(from)], reinterpret_cast<uint8_t*>(&theirs), sizeof theirs,
           static_cast<uint8_t*>(in), in_size};
    const Moved moved = exchange(out ? &a : nullptr, in ? &b : nullptr, g->timeout,
                                 [&] { return memcmp(&theirs, &head, sizeof head) == 0; });
    if (moved == Moved::kAll) return 0;
    if (moved == Moved::kRefused) return fail(from, "does " + text_of(theirs));
    const bool waits = in && b.done < sizeof theirs + in_size;
    const int rank = waits ? from : to;
    if (moved == Moved::kClosed) return fail(rank, "has closed the connection: it failed or left");
    return fail(rank, "did not come for " + std::to_string(static_cast<int64_t>(g->timeout)) + " s");
  }

  int below(int s) const { return (g->rank - s + g->size) % g->size; }
  int above(int s) const { return (g->rank + s) % g->size; }

  // out [size n] of every rank's x [n], which may be its place in out.
  int all_gather(uint8_t* out, const void* x, size_t bytes) {
    uint8_t* own = out + static_cast<size_t>(g->rank) * bytes;
    if (own != x) memcpy(own, x, bytes);
    for (int s = 1; s < g->size; s++)
      if (swap(above(s), own, bytes, below(s), out + static_cast<size_t>(below(s)) * bytes, bytes)) return 1;
    return 0;
  }

  // out = all ranks' parts of n elements, in order; part r is at part(r).
  template <class Part>
  void reduce(uint8_t* out, int64_t n, const Part& part) {
    const auto walk = [&](auto get, auto put) {
      parallel_for(ctx, n, 1 << 14, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; i++) {
          float sum = get(part(0), i);
          for (int r = 1; r < g->size; r++) {
            const float v = get(part(r), i);
            sum = head.reduce == AO_MAX ? (v > sum ? v : sum) : head.reduce == AO_MIN ? (v < sum ? v : sum) : sum + v;
          }
          put(i, head.reduce == AO_AVG ? sum / static_cast<float>(g->size) : sum);
        }
      });
    };
    if (head.dtype == AO_F32)
      walk([](const uint8_t* p, int64_t i) { return reinterpret_cast<const float*>(p)[i]; },
           [&](int64_t i, float v) { reinterpret_cast<float*>(out)[i] = v; });
    else if (head.dtype == AO_BF16)
      walk([](const uint8_t* p, int64_t i) { return ao_from_bf16(reinterpret_cast<const uint16_t*>(p)[i]); },
           [&](int64_t i, float v) { reinterpret_cast<uint16_t*>(out)[i] = ao_to_bf16(v); });
    else
      walk([](const uint8_t* p, int64_t i) { return ao_from_f16(reinterpret_cast<const uint16_t*>(p)[i]); },
           [&](int64_t i, float v) { reinterpret_cast<uint16_t*>(out)[i] = ao_to_f16(v); });
  }

  // out [n] = the reduced span of this rank; span r of x is `count(r)` elements from r * n on.
  template <class Count>
  int reduce_scatter(uint8_t* out, const uint8_t* x, int64_t n, const Count& count) {
    const size_t span = static_cast<size_t>(n) * item, mine = static_cast<size_t>(count(g->rank)) * item;
    uint8_t* others = scratch<uint8_t>(ctx, static_cast<int64_t>(span) * g->size);
    if (!others) return 1;
    for (int s = 1; s < g->size; s++) {
      const int to = above(s), from = below(s);
      if (swap(to, x + static_cast<size_t>(to) * span, static_cast<size_t>(count(to)) * item, from,
               others + static_cast<size_t>(from) * span, mine))
        return 1;
    }
    reduce(out, count(g->rank), [&](int r) {
      const size_t at = static_cast<size_t>(r) * span;
      return r == g->rank ? x + at : others + at;
    });
    return 0;
  }

  int all_reduce(uint8_t* out, int64_t n) {
    constexpr int64_t kSmall = 4096; // then one round of messages does it
    if (n <= kSmall) {
      const size_t bytes = static_cast<size_t>(n) * item;
      uint8_t* all = scratch<uint8_t>(ctx, static_cast<int64_t>(bytes) * g->size);
      if (!all || all_gather(all, out, bytes)) return 1;
      reduce(out, n, [&](int r) { return all + static_cast<size_t>(r) * bytes; });
      return 0;
    }
    const int64_t span = (n + g->size - 1) / g->size;
    const auto count = [&](int r) {
      const int64_t left = n - r * span;
      return left < 0 ? 0 : left < span ? left : span;
    };
    uint8_t* own = out + static_cast<size_t>(g->rank * span) * item;
    if (reduce_scatter(own, out, span, count)) return 1;
    for (int s = 1; s < g->size; s++) {
      const int to = above(s), from = below(s);
      if (swap(to, own, static_cast<size_t>(count(g->rank)) * item, from, out + static_cast<size_t>(from * span) * item,
               static_cast<size_t>(count(from)) * item))
        return 1;
    }
    return 0;
  }

  int broadcast(uint8_t* out, size_t bytes) {
    for (int s = 1; s < g->size; s++) {
      if (g->rank == head.root && swap(above(s), out, bytes, -1, nullptr, 0)) return 1;
      if (below(s) == head.root && swap(-1, nullptr, 0, static_cast<int>(head.root), out, bytes)) return 1;
    }
    return 0;
  }
};

} // namespace
} // namespace ao

using namespace ao;

extern "C" int AO_ROW(collective)(const ao_collective_args* a, ao_ctx* ctx) {
  Group* g = find_group(ctx, a->group);
  if (!g) return 1;
  if (!g->broken.empty()) return ao_fail(ctx, "the process group broke earlier: %s", g->broken.c_str());
  Call call{
      ctx, g, {++g->calls, a->what, a->n, a->dtype, a->reduce, a->root}, static_cast<size_t>(ao_dtype_size(a->dtype))};
  uint8_t* out = static_cast<uint8_t*>(a->out);
  const bool reduces = a->what == AO_ALL_REDUCE || a->what == AO_REDUCE_SCATTER;
  if (reduces && a->dtype != AO_F32 && a->dtype != AO_F16 && a->dtype != AO_BF16)
    return ao_fail(ctx, "collective: dtype code %lld has no sums", static_cast<long long>(a->dtype));
  const size_t bytes = static_cast<size_t>(a->n) * call.item;
  switch (a->what) {
  case AO_ALL_REDUCE:
    return call.all_reduce(out, a->n);
  case AO_ALL_GATHER:
    return call.all_gather(out, a->x, bytes);
  case AO_REDUCE_SCATTER:
    return call.reduce_scatter(out, static_cast<const uint8_t*>(a->x), a->n, [&](int) { return a->n; });
  default:
    return call.broadcast(out, bytes);
  }
}
