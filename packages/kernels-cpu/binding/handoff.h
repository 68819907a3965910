// Bytes on their way from one stream of this process to another, in turns: the sender's thread fills them, the receiver's takes them. The
// two may belong to different addons: both see this struct alone, and wait by what the system has.
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <string>

namespace ao {

class Handoff {
public:
  // Null where memory is out. It has two ends.
  static Handoff* create(size_t bytes);
  uint8_t* bytes() { return data_; }
  // Waits until it is full, or empty; false where `stopping` comes first.
  bool await(bool full, const std::atomic<bool>& stopping);
  // Full; with what went wrong where the bytes are none.
  void fill(const std::string& failure);
  void take();
  // What went wrong; '' where the bytes are good.
  std::string failure() const { return failure_; }
  // One end is done with it; the second frees it.
  void end();

private:
  Handoff() = default;
  void set(bool full);

  pthread_mutex_t lock_;
  pthread_cond_t changed_;
  bool full_ = false;
  int ends_ = 2;
  char failure_[1024] = "";
  uint8_t* data_ = nullptr;
};

} // namespace ao
