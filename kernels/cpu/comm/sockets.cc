#include "comm/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace ao {
namespace {

int milliseconds_to(double deadline) {
  const double left = deadline - clock_now();
  return left <= 0 ? 0 : left > 3600 ? 3600000 : static_cast<int>(left * 1000) + 1;
}

int ready(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

// Where the next bytes of a lane lie, and how many.
uint8_t* next_of(const Lane& lane, size_t* size) {
  const bool head = lane.done < lane.head_size;
  *size = head ? lane.head_size - lane.done : lane.head_size + lane.body_size - lane.done;
  return head ? lane.head + lane.done : lane.body + (lane.done - lane.head_size);
}

bool open(const Lane* lane) { return lane && lane->done < lane->head_size + lane->body_size; }

} // namespace

double clock_now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

int listen_anywhere(uint16_t* port, std::string* why) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  socklen_t size = sizeof at;
  sockaddr* any = reinterpret_cast<sockaddr*>(&at);
  if (fd < 0 || bind(fd, any, size) != 0 || listen(fd, 1024) != 0 || getsockname(fd, any, &size) != 0) {
    *why = std::string("cannot listen: ") + strerror(errno);
    if (fd >= 0) close(fd);
    return -1;
  }
  *port = ntohs(at.sin_port);
  return ready(fd);
}

int connect_to(uint32_t host, uint16_t port, double deadline, std::string* why) {
  for (;;) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(host);
    at.sin_port = htons(port);
    ready(fd);
    int status = connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 ? 0 : errno;
    if (status == EINPROGRESS) {
      pollfd wait{fd, POLLOUT, 0};
      socklen_t size = sizeof status;
      if (poll(&wait, 1, milliseconds_to(deadline)) > 0)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &size);
      else
        status = ETIMEDOUT;
    }
    if (status == 0) return fd;
    close(fd);
    if (clock_now() >= deadline) {
      char text[INET_ADDRSTRLEN];
      inet_ntop(AF_INET, &at.sin_addr, text, sizeof text);
      *why = std::string("cannot reach ") + text + ":" + std::to_string(port) + ": " + strerror(status);
      return -1;
    }
    usleep(20000);
  }
}

int accept_from(int listener, double deadline, std::string* why) {
  pollfd wait{listener, POLLIN, 0};
  if (poll(&wait, 1, milliseconds_to(deadline)) > 0) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) return ready(fd);
  }
  *why = "nobody else has connected";
  return -1;
}

Moved exchange_bytes(Lane* out, Lane* in, double timeout, bool (*take)(void*), void* arg) {
  double deadline = clock_now() + timeout;
  while (open(out) || open(in)) {
    pollfd wait[2];
    int count = 0;
    if (open(in)) wait[count++] = {in->fd, POLLIN, 0};
    if (open(out)) wait[count++] = {out->fd, POLLOUT, 0};
    const int found = poll(wait, static_cast<nfds_t>(count), milliseconds_to(deadline));
    if (found == 0 && clock_now() >= deadline) return Moved::kLate;
    if (found < 0 && errno != EINTR) return Moved::kClosed;
    for (int i = 0; i < count && found > 0; i++) {
      if (!wait[i].revents) continue;
      const bool reads = wait[i].events == POLLIN;
      Lane* lane = reads ? in : out;
      size_t size;
      uint8_t* at = next_of(*lane, &size);
      const ssize_t n = reads ? recv(lane->fd, at, size, 0) : send(lane->fd, at, size, MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) return Moved::kClosed;
      const bool head = lane->done < lane->head_size;
      lane->done += static_cast<size_t>(n);
      deadline = clock_now() + timeout;
      if (reads && head && lane->done == lane->head_size && take && !take(arg)) return Moved::kRefused;
    }
  }
  return Moved::kAll;
}

} // namespace ao
