// The thread pool of the process, shared by all contexts; streams take turns through a lock.
//
// A job is open to workers while the gate says so. The gate is one word: | epoch 15 | open 1 | members inside 16 |.
// A worker that finds the gate open with an epoch it has not served joins by compare-and-swap, takes chunks from the
// atomic counter until none is left, and leaves. The caller works as member 0, closes the gate and waits only for
// members inside: a worker that never got a CPU does not hold up the job.
#pragma once
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "ao/ao.h"

namespace ao {

class Pool {
public:
  // One more context that wants `threads` members (the caller's thread included); starts missing workers. Returns the
  // number that can be had.
  static int acquire(int threads);
  // The last release stops and joins the workers.
  static void release();
  static Pool* get();

  void run(int threads, int64_t n, int64_t chunk, ao_range_fn fn, void* arg);

private:
  void grow(int workers);
  void stop();
  void work();
  void take_chunks(int member);

  struct Job {
    ao_range_fn fn;
    void* arg;
    int64_t n, chunk;
    int limit; // members allowed besides the caller
  };

  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> left_{0}; // bumped by the last member that leaves a closed gate
  alignas(64) Job job_{};
  std::atomic<bool> stopping_{false};
  std::mutex turn_;
  std::vector<std::thread> workers_;
};

} // namespace ao
