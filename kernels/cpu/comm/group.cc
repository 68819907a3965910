// group_open, group_connect, group_close: each rank listens; it connects to the ranks below it and is connected to by those above.
#include "comm/group.h"

#include <string.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <unordered_map>

#include "ao/collective.h"
#include "comm/sockets.h"

namespace ao {
namespace {

struct Address {
  char magic[8];
  uint32_t host, port;
};
struct Hello {
  char magic[8];
  uint64_t rank;
};
static_assert(sizeof(Address) <= AO_GROUP_ADDRESS);
constexpr char kMagic[8] = {'a', 'o', '-', 'g', 'r', 'o', 'u', 'p'};

std::mutex lock;
std::unordered_map<int64_t, std::unique_ptr<Group>>& groups() {
  static std::unordered_map<int64_t, std::unique_ptr<Group>> all;
  return all;
}

uint8_t* bytes(void* p) { return static_cast<uint8_t*>(p); }

// Connects to `rank` and says who this is.
bool call_rank(Group* g, int rank, const Address& at, double deadline, std::string* why) {
  const int fd = g->sockets[static_cast<size_t>(rank)] =
      connect_to(at.host, static_cast<uint16_t>(at.port), deadline, why);
  if (fd < 0) return false;
  Hello hello{};
  memcpy(hello.magic, kMagic, sizeof kMagic);
  hello.rank = static_cast<uint64_t>(g->rank);
  Lane out{fd, bytes(&hello), sizeof hello, nullptr, 0};
  *why = "it does not answer";
  return exchange_bytes(&out, nullptr, deadline - clock_now(), nullptr, nullptr) == Moved::kAll;
}

// Takes one connection of a rank above; strangers are sent away.
bool answer_rank(Group* g, double deadline, std::string* why) {
  const int fd = accept_from(g->listener, deadline, why);
  if (fd < 0) return false;
  Hello hello{};
  Lane in{fd, bytes(&hello), sizeof hello, nullptr, 0};
  const Moved moved = exchange_bytes(nullptr, &in, 10, nullptr, nullptr);
  const uint64_t rank = hello.rank;
  if (moved == Moved::kAll && memcmp(hello.magic, kMagic, sizeof kMagic) == 0 &&
      rank > static_cast<uint64_t>(g->rank) && rank < static_cast<uint64_t>(g->size) && g->sockets[rank] < 0)
    g->sockets[rank] = fd;
  else
    close(fd);
  return true;
}

} // namespace

Group::~Group() { close_all(); }

void Group::close_all() {
  if (listener >= 0) close(listener);
  listener = -1;
  for (int& fd : sockets) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
}

Group* find_group(ao_ctx* ctx, int64_t id) {
  std::lock_guard<std::mutex> hold(lock);
  const auto found = groups().find(id);
  if (found != groups().end()) return found->second.get();
  ao_fail(ctx, "the process group is closed; call initProcessGroup again");
  return nullptr;
}

} // namespace ao

using namespace ao;

extern "C" int AO_ROW(group_open)(const ao_group_open_args* a, ao_ctx* ctx) {
  auto g = std::make_unique<Group>();
  g->rank = static_cast<int>(a->rank), g->size = static_cast<int>(a->size);
  g->sockets.assign(static_cast<size_t>(g->size), -1);
  std::string why;
  uint16_t port = 0;
  g->listener = listen_anywhere(&port, &why);
  if (g->listener < 0) return ao_fail(ctx, "rank %d of %d: %s", g->rank, g->size, why.c_str());
  Address at{};
  memcpy(at.magic, kMagic, sizeof kMagic);
  at.host = static_cast<uint32_t>(a->host), at.port = port;
  memset(a->address, 0, AO_GROUP_ADDRESS);
  memcpy(a->address, &at, sizeof at);
  std::lock_guard<std::mutex> hold(lock);
  groups()[a->group] = std::move(g);
  return 0;
}

extern "C" int AO_ROW(group_connect)(const ao_group_connect_args* a, ao_ctx* ctx) {
  Group* g = find_group(ctx, a->group);
  if (!g) return 1;
  g->timeout = a->timeout;
  const double deadline = clock_now() + a->timeout;
  std::string why;
  for (int rank = 0; rank < g->rank; rank++) {
    Address at;
    memcpy(&at, static_cast<const uint8_t*>(a->addresses) + rank * AO_GROUP_ADDRESS, sizeof at);
    if (memcmp(at.magic, kMagic, sizeof kMagic) != 0)
      return ao_fail(ctx, "rank %d of %d: rank %d is on another kind of device", g->rank, g->size, rank);
    if (!call_rank(g, rank, at, deadline, &why))
      return ao_fail(ctx, "rank %d of %d cannot connect to rank %d: %s", g->rank, g->size, rank, why.c_str());
  }
  const auto missing = [&] {
    for (int rank = g->rank + 1; rank < g->size; rank++)
      if (g->sockets[static_cast<size_t>(rank)] < 0) return rank;
    return -1;
  };
  for (int rank = missing(); rank >= 0; rank = missing())
    if (!answer_rank(g, deadline, &why))
      return ao_fail(ctx, "rank %d of %d: rank %d has not connected for %g s", g->rank, g->size, rank, a->timeout);
  close(g->listener);
  g->listener = -1;
  return 0;
}

extern "C" int AO_ROW(group_close)(const ao_group_close_args* a, ao_ctx*) {
  std::lock_guard<std::mutex> hold(lock);
  groups().erase(a->group);
  return 0;
}
