// TCP between two processes: listening, connecting, and moving bytes both ways at once, all with a deadline.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <string>

namespace ao {

// Seconds since some moment.
double clock_now();

// A socket that listens on a port of the system's choice; -1 with the reason.
int listen_anywhere(uint16_t* port, std::string* why);
// A connected socket, tried again until the deadline; -1 with the reason.
int connect_to(uint32_t host, uint16_t port, double deadline, std::string* why);
int accept_from(int listener, double deadline, std::string* why);

// Bytes that go through a socket in order: those of `head`, then those of `body`.
struct Lane {
  int fd;
  uint8_t* head;
  size_t head_size;
  uint8_t* body;
  size_t body_size;
  size_t done = 0;
};

enum class Moved { kAll, kClosed, kLate, kRefused };

// Sends `out` and receives `in`, which may be one socket or two. kClosed: the other end has closed; kLate: nothing moved for `timeout`
// seconds; kRefused: `take` did not like the received head.
template <class Take>
Moved exchange(Lane* out, Lane* in, double timeout, const Take& take);

// As exchange with what `take` says of the head: false ends it.
Moved exchange_bytes(Lane* out, Lane* in, double timeout, bool (*take)(void*), void* arg);

template <class Take>
Moved exchange(Lane* out, Lane* in, double timeout, const Take& take) {
  return exchange_bytes(
      out, in, timeout, [](void* arg) { return (*static_cast<const Take*>(arg))(); }, const_cast<Take*>(&take));
}

} // namespace ao
