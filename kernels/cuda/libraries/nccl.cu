// NCCL with prototypes of our own; numbers are those of nccl.h of version 2. Collectives run on the context's stream, so a CUDA graph keeps them.
// A group of one rank is a group too; on the emulator there are no others, and collectives of one rank are copies.
#include "libraries/nccl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "ao/collective.h"
#include "base/ctx.h"
#include "base/dtype.h"
#include "libraries/search.h"

namespace ao {
namespace {

using Comm = void*;
using Status = int; // 0 is success, 7 in progress
struct UniqueId {
  char bytes[AO_GROUP_ADDRESS];
};

struct Nccl {
  Opened file;
  std::string why;
  int version = 0;
  Status (*get_version)(int*);
  Status (*get_unique_id)(UniqueId*);
  Status (*comm_init_rank)(Comm*, int size, UniqueId, int rank);
  Status (*comm_destroy)(Comm);
  Status (*comm_abort)(Comm);
  Status (*comm_get_async_error)(Comm, Status*);
  const char* (*get_error_string)(Status);
  const char* (*get_last_error)(Comm);
  Status (*all_reduce)(const void*, void*, size_t, int dtype, int op, Comm, cudaStream_t);
  Status (*all_gather)(const void*, void*, size_t, int dtype, Comm, cudaStream_t);
  Status (*reduce_scatter)(const void*, void*, size_t, int dtype, int op, Comm, cudaStream_t);
  Status (*broadcast)(const void*, void*, size_t, int dtype, int root, Comm, cudaStream_t);
};

struct Group {
  int rank = 0, size = 1;
  double timeout = 0;
  Comm comm = nullptr;
  cudaStream_t stream = nullptr;
  uint64_t calls = 0;
  std::string last{}, broken{};
};

std::mutex lock;
std::unordered_map<int64_t, std::unique_ptr<Group>>& groups() {
  static std::unordered_map<int64_t, std::unique_ptr<Group>> all;
  return all;
}

#if !defined(AO_EMULATE)
bool open_nccl(Nccl* n) {
  setenv("NCCL_NVLS_ENABLE", "0",
         0); // multicast needs a set-up of the machine that cannot be told from here; who has it sets 1
  n->file = open_library("nccl", {2});
  n->why = n->file.why;
  if (!n->file.handle) return false;
  const auto symbol = [&](const char* name, auto* function) {
    void* found = dlsym(n->file.handle, name);
    *function = reinterpret_cast<std::remove_reference_t<decltype(*function)>>(found);
    if (!found) n->why = n->file.file + " has no " + name;
    return found != nullptr;
  };
  const bool whole =
      symbol("ncclGetVersion", &n->get_version) && symbol("ncclGetUniqueId", &n->get_unique_id) &&
      symbol("ncclCommInitRank", &n->comm_init_rank) && symbol("ncclCommDestroy", &n->comm_destroy) &&
      symbol("ncclCommAbort", &n->comm_abort) && symbol("ncclCommGetAsyncError", &n->comm_get_async_error) &&
      symbol("ncclGetErrorString", &n->get_error_string) && symbol("ncclGetLastError", &n->get_last_error) &&
      symbol("ncclAllReduce", &n->all_reduce) && symbol("ncclAllGather", &n->all_gather) &&
      symbol("ncclReduceScatter", &n->reduce_scatter) && symbol("ncclBroadcast", &n->broadcast);
  if (!whole) return false;
  // 2.7.8 is 2708, 2.9.0 is 20900
  if (n->get_version(&n->version) == 0 && (n->version / 10000 == 2 || n->version / 1000 == 2)) return true;
  n->why = n->file.file + " is version " + std::to_string(n->version) + "; this build knows 2";
  return false;
}
#endif

// The library, or null with the error recorded.
Nccl* nccl(ao_ctx* ctx) {
#if defined(AO_EMULATE)
  ao_fail(ctx, "the emulator has groups of one rank only; use cpu() for several");
  return nullptr;
#else
  static Nccl library;
  static const bool found = open_nccl(&library);
  if (found) return &library;
  ao_fail(ctx, "NCCL cannot be used: %s", library.why.c_str());
  return nullptr;
#endif
}

constexpr const char* kNames[] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast"};

// ncclDataType_t and ncclRedOp_t
int type_of(int64_t dtype) {
  switch (dtype) {
  case AO_F32:
    return 7;
  case AO_F16:
    return 6;
  case AO_BF16:
    return 9;
  case AO_I32:
    return 2;
  case AO_I64:
    return 4;
  default:
    return 1; // bytes
  }
}
int op_of(int64_t reduce) { return reduce == AO_AVG ? 4 : reduce == AO_MAX ? 2 : reduce == AO_MIN ? 3 : 0; }

int broke(ao_ctx* ctx, Group* g, const char* why) {
  g->broken = "rank " + std::to_string(g->rank) + " of " + std::to_string(g->size) + ", " + g->last + ": " + why;
  return ao_fail(ctx, "%s", g->broken.c_str());
}

Group* find_group(ao_ctx* ctx, int64_t id) {
  std::lock_guard<std::mutex> hold(lock);
  const auto found = groups().find(id);
  if (found != groups().end()) return found->second.get();
  ao_fail(ctx, "the process group is closed; call initProcessGroup again");
  return nullptr;
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Those whose collectives the stream waits for.
std::vector<Group*> groups_of(const ao_ctx* ctx) {
  std::vector<Group*> found;
  std::lock_guard<std::mutex> hold(lock);
  for (const auto& [id, g] : groups())
    if (g->stream == ctx->stream && g->comm && g->broken.empty()) found.push_back(g.get());
  return found;
}

} // namespace

int wait_for_stream(ao_ctx* ctx) {
  const std::vector<Group*> open = groups_of(ctx);
  if (open.empty()) return check_cuda(ctx, "wait", cudaStreamSynchronize(ctx->stream));
#if !defined(AO_EMULATE)
  Nccl* n = nccl(ctx);
  const double start = seconds();
  for (int turn = 0;; turn++) {
    const cudaError_t status = cudaStreamQuery(ctx->stream);
    if (status != cudaErrorNotReady) return check_cuda(ctx, "wait", status);
    if (turn < 1000) continue; // what ends soon is not slept over
    usleep(50);
    for (Group* g : open) {
      Status error = 0;
      n->comm_get_async_error(g->comm, &error);
      const bool late = seconds() - start > g->timeout;
      if (!late && (error == 0 || error == 7)) continue;
      const std::string why = late ? "the stream has not come to its end for " +
                                         std::to_string(static_cast<int>(g->timeout)) +
                                         " s: a rank failed, left or does something else"
                                   : std::string(n->get_error_string(error)) + ": " + n->get_last_error(g->comm);
      n->comm_abort(g->comm);
      g->comm = nullptr;
      return broke(ctx, g, why.c_str());
    }
  }
#endif
  return 0;
}

} // namespace ao

using namespace ao;

extern "C" int ao_cuda_group_open(const ao_group_open_args* a, ao_ctx* ctx) {
  auto g = std::make_unique<Group>();
  g->rank = static_cast<int>(a->rank), g->size = static_cast<int>(a->size);
  g->stream = ctx->stream;
#if !defined(AO_EMULATE)
  Nccl* n = nccl(ctx);
  UniqueId id{};
  if (!n) return 1;
  if (g->rank == 0) {
    const Status status = n->get_unique_id(&id);
    if (status != 0) return ao_fail(ctx, "NCCL has no unique id: %s", n->get_error_string(status));
  }
  if (check_cuda(ctx, "write", cudaMemcpyAsync(a->address, &id, sizeof id, cudaMemcpyHostToDevice, ctx->stream)) ||
      check_cuda(ctx, "write", cudaStreamSynchronize(ctx->stream)))
    return 1;
#else
  if (g->size > 1) return nccl(ctx) == nullptr;
#endif
  std::lock_guard<std::mutex> hold(lock);
  groups()[a->group] = std::move(g);
  return 0;
}

extern "C" int ao_cuda_group_connect(const ao_group_connect_args* a, ao_ctx* ctx) {
  Group* g = find_group(ctx, a->group);
  if (!g) return 1;
  g->timeout = a->timeout;
  g->last = "joining the group";
#if !defined(AO_EMULATE)
  Nccl* n = nccl(ctx);
  UniqueId id;
  if (!n ||
      check_cuda(ctx, "read", cudaMemcpyAsync(&id, a->addresses, sizeof id, cudaMemcpyDeviceToHost, ctx->stream)) ||
      check_cuda(ctx, "read", cudaStreamSynchronize(ctx->stream)))
    return 1;
  const Status status = n->comm_init_rank(&g->comm, g->size, id, g->rank);
  if (status == 0) return 0;
  g->comm = nullptr;
  return broke(ctx, g, (std::string(n->get_error_string(status)) + ": " + n->get_last_error(nullptr)).c_str());
#else
  return 0;
#endif
}

extern "C" int ao_cuda_group_close(const ao_group_close_args* a, ao_ctx* ctx) {
  std::lock_guard<std::mutex> hold(lock);
  const auto found = groups().find(a->group);
  if (found == groups().end()) return 0;
  if (found->second->comm) {
    cudaStreamSynchronize(ctx->stream);
    nccl(ctx)->comm_destroy(found->second->comm);
  }
  groups().erase(found);
  return 0;
}

extern "C" int ao_cuda_collective(const ao_collective_args* a, ao_ctx* ctx) {
  Group* g = find_group(ctx, a->group);
  if (!g) return 1;
  if (!g->broken.empty()) return ao_fail(ctx, "the process group broke earlier: %s", g->broken.c_str());
  const int64_t item = ao_dtype_size(a->dtype);
#if defined(AO_EMULATE)
  const bool in_place = a->what == AO_ALL_REDUCE || a->what == AO_BROADCAST;
  return in_place ? 0 : copy(ctx, a->out, a->x, static_cast<size_t>(a->n * item));
#else
  Nccl* n = nccl(ctx);
  const int type = type_of(a->dtype);
  const size_t count = static_cast<size_t>(type == 1 ? a->n * item : a->n);
  g->last = std::string(kNames[a->what & 3]) + " of " + std::to_string(a->n) + " elements, its call " +
            std::to_string(++g->calls);
  Status status = 0;
  switch (a->what) {
  case AO_ALL_REDUCE:
    status = n->all_reduce(a->out, a->out, count, type, op_of(a->reduce), g->comm, ctx->stream);
    break;
  case AO_ALL_GATHER:
    status = n->all_gather(a->x, a->out, count, type, g->comm, ctx->stream);
    break;
  case AO_REDUCE_SCATTER:
    status = n->reduce_scatter(a->x, a->out, count, type, op_of(a->reduce), g->comm, ctx->stream);
    break;
  default:
    status = n->broadcast(a->out, a->out, count, type, static_cast<int>(a->root), g->comm, ctx->stream);
  }
  if (status == 0) return 0;
  return broke(ctx, g, (std::string(n->get_error_string(status)) + ": " + n->get_last_error(g->comm)).c_str());
#endif
}
