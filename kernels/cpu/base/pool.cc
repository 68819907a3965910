#include "base/pool.h"

#include <pthread.h>

#include <chrono>
#include <system_error>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ao {
namespace {

constexpr uint32_t kOpen = 1u << 16, kInside = 0xffffu;
constexpr auto kSpin = std::chrono::microseconds(50);

std::mutex registry;
Pool* pool = nullptr;
int contexts = 0;
std::atomic<bool> forked{false}; // set in a forked child, which has no workers and may have inherited a held lock

uint32_t epoch(uint32_t gate) { return gate >> 17; }

void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Polls `done` for at most 50 microseconds.
template <class Done>
bool spin_until(Done done) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; i++) {
      if (done()) return true;
      pause_cpu();
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

} // namespace

int Pool::acquire(int threads) {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
  (void)registered;
  if (forked.load()) return 1;
  std::lock_guard<std::mutex> lock(registry);
  if (!pool) pool = new Pool();
  contexts++;
  std::lock_guard<std::mutex> turn(pool->turn_);
  pool->grow(threads - 1);
  const int available = static_cast<int>(pool->workers_.size()) + 1;
  return threads < available ? threads : available;
}

void Pool::release() {
  if (forked.load()) return;
  std::lock_guard<std::mutex> lock(registry);
  if (--contexts > 0) return;
  pool->stop();
  delete pool;
  pool = nullptr;
}

Pool* Pool::get() { return forked.load(std::memory_order_relaxed) ? nullptr : pool; }

void Pool::grow(int workers) {
  try {
    while (static_cast<int>(workers_.size()) < workers) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    // the system gives no more threads: go on with those there are
  }
}

void Pool::stop() {
  stopping_.store(true);
  gate_.fetch_add(1u << 17); // another epoch, still closed: wakes the sleepers
  gate_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Pool::take_chunks(int member) {
  const Job job = job_;
  for (;;) {
    const int64_t begin = next_.fetch_add(job.chunk, std::memory_order_relaxed);
    if (begin >= job.n) return;
    const int64_t end = begin + job.chunk < job.n ? begin + job.chunk : job.n;
    job.fn(job.arg, begin, end, member);
  }
}

void Pool::work() {
  uint32_t served = ~0u;
  for (;;) {
    uint32_t gate = gate_.load(std::memory_order_acquire);
    const auto fresh = [&] {
      gate = gate_.load(std::memory_order_acquire);
      return stopping_.load(std::memory_order_relaxed) || ((gate & kOpen) && epoch(gate) != served);
    };
    while (!spin_until(fresh)) gate_.wait(gate, std::memory_order_acquire);
    if (stopping_.load()) return;
    if ((gate & kInside) >= static_cast<uint32_t>(0x7fff)) continue;
    if (!gate_.compare_exchange_strong(gate, gate + 1, std::memory_order_acq_rel)) continue;
    // The member number is unique among those that still find chunks: who left before found the counter exhausted.
    served = epoch(gate);
    const int member = static_cast<int>(gate & kInside) + 1;
    if (member <= job_.limit) take_chunks(member);
    const uint32_t before = gate_.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & kInside) == 1 && !(before & kOpen)) {
      left_.fetch_add(1, std::memory_order_release);
      left_.notify_one();
    }
  }
}

void Pool::run(int threads, int64_t n, int64_t chunk, ao_range_fn fn, void* arg) {
  std::lock_guard<std::mutex> turn(turn_);
  job_ = {fn, arg, n, chunk, threads - 1};
  next_.store(0, std::memory_order_relaxed);
  const uint32_t closed = gate_.load(std::memory_order_relaxed); // nobody is inside a closed gate between jobs
  gate_.store((((epoch(closed) + 1) << 17) | kOpen), std::memory_order_seq_cst);
  gate_.notify_all();
  take_chunks(0);
  gate_.fetch_and(~kOpen, std::memory_order_acq_rel);
  const auto empty = [&] { return (gate_.load(std::memory_order_acquire) & kInside) == 0; };
  while (!spin_until(empty)) {
    const uint32_t left = left_.load(std::memory_order_acquire);
    if (empty()) return;
    left_.wait(left, std::memory_order_acquire);
  }
}

} // namespace ao
