// A process group: a socket to every other rank. Once something went wrong it stays broken, with its sockets closed, so that the others
// learn of it at once.
#pragma once
#include <stdint.h>

#include <string>
#include <vector>

#include "ao/ao.h"

namespace ao {

struct Group {
  int rank = 0, size = 1, listener = -1;
  double timeout = 0;
  std::vector<int> sockets{}; // by rank; -1 for this one
  uint64_t calls = 0;
  std::string broken{};

  ~Group();
  void close_all();
};

// The group of a number; null with the error recorded.
Group* find_group(ao_ctx* ctx, int64_t id);

} // namespace ao
