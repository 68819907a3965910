#include "stream.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>

#include "handoff.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ao {
namespace {

constexpr auto kSpin = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Signals belong to the threads of the process that had them before.
template <class Fn>
std::thread without_signals(Fn fn) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread thread(fn);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
}

} // namespace

Stream::Stream(uint32_t* control, double* ring, ao_ctx* ctx, bool check, Settle settle, void* owner)
    : control_(control), ring_(ring), ctx_(ctx), check_(check), settle_(settle), owner_(owner) {
  int count;
  entries_ = AO_ROW(entries)(&count);
}

void Stream::start() {
  thread_ = without_signals([this] { loop(); });
  pthread_setname_np(thread_.native_handle(), "ao-stream");
}

void Stream::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  wake();
  thread_.join();
}

Stream::~Stream() {
  stop();
  for (void* bytes : staged_) free(bytes);
  ao_ctx_destroy(ctx_);
}

void Stream::wake() {
  {
    std::lock_guard<std::mutex> hold(sleep_);
    word(control_, kSleeping).store(0);
  }
  woken_.notify_one();
}

void Stream::wait(uint32_t tail, uint32_t room, uint32_t sequence, uint32_t queued) {
  const auto ready = [&] {
    return kRingDoubles - (tail - word(control_, kHead).load()) >= room &&
           sequence - word(control_, kCompleted).load() <= queued;
  };
  if (ready()) return;
  std::unique_lock<std::mutex> hold(done_lock_);
  waiting_.store(true);
  done_.wait(hold, ready);
  waiting_.store(false);
}

void* Stream::stage(const void* bytes, size_t size) {
  void* copy = malloc(size);
  if (!copy) return nullptr;
  memcpy(copy, bytes, size);
  std::lock_guard<std::mutex> hold(shared_);
  staged_.insert(copy);
  return copy;
}

Plan* Stream::add_plan(double id, const double* records, size_t length) {
  auto plan = std::make_unique<Plan>(Plan{id, {records, records + length}});
  Plan* const key = plan.get();
  std::lock_guard<std::mutex> hold(shared_);
  plans_.emplace(key, std::move(plan));
  return key;
}

std::vector<Failure> Stream::take_failures() {
  std::lock_guard<std::mutex> hold(shared_);
  return std::move(failures_);
}

void Stream::loop() {
  uint32_t head = 0;
  begin();
  while (await(head)) {
    const uint32_t tail = word(control_, kTail).load(std::memory_order_acquire);
    while (head != tail && !stopping_.load(std::memory_order_relaxed)) {
      const double* command = ring_ + (head & (kRingDoubles - 1));
      const int code = static_cast<int>(command[0]);
      if (counts(code)) sequence_++;
      head += code == kWrap ? kRingDoubles - (head & (kRingDoubles - 1)) : static_cast<uint32_t>(execute(command));
      if (counts(code)) completed_++;
      finish(head);
      if (answer_.id == 0) continue;
      settle_(owner_, answer_);
      answer_ = {};
    }
  }
}

// False when the stream has to end.
bool Stream::await(uint32_t head) {
  const auto ready = [&] { return word(control_, kTail).load() != head || stopping_.load(); };
  if (ready()) return !stopping_.load();
  const auto until = std::chrono::steady_clock::now() + kSpin;
  while (!ready()) {
    for (int i = 0; i < 64; i++) pause();
    if (std::chrono::steady_clock::now() < until) continue;
    std::unique_lock<std::mutex> hold(sleep_);
    woken_.wait(hold, [&] {
      word(control_, kSleeping).store(1); // each time: a late wake() for an earlier sleep clears it
      return ready();
    });
    word(control_, kSleeping).store(0);
  }
  return !stopping_.load();
}

void Stream::finish(uint32_t head) {
  word(control_, kCompleted).store(completed_, std::memory_order_release);
  word(control_, kHead).store(head);
  if (!waiting_.load()) return;
  {
    std::lock_guard<std::mutex> hold(done_lock_);
  }
  done_.notify_one();
}

size_t Stream::length_of(const double* command) const {
  const int code = static_cast<int>(command[0]);
  if (code >= 0) return 1 + static_cast<size_t>(entries_[code].record_length);
  switch (code) {
  case kWriteInline:
    return 5 + (static_cast<size_t>(command[3]) + 7) / 8;
  case kForeign:
    return 2 +
           static_cast<size_t>(reinterpret_cast<const ao_entry*>(static_cast<uintptr_t>(command[1]))->record_length);
  case kCopy:
    return 7;
  case kReadFile:
    return 8;
  case kWriteStaged:
  case kRead:
  case kReceive:
    return 6;
  case kSend:
    return 5;
  default:
    return 2;
  }
}

// Runs one command and returns how many doubles it takes.
size_t Stream::execute(const double* command) {
  const int code = static_cast<int>(command[0]);
  const size_t length = length_of(command);
  if (code >= 0) {
    run_kernel(entries_[code], command + 1);
    return length;
  }
  switch (code) {
  case kDiscard:
    heal(static_cast<uintptr_t>(command[1]));
    break;
  case kRelease:
    heal(static_cast<uintptr_t>(command[1]));
    release(reinterpret_cast<void*>(static_cast<uintptr_t>(command[1])));
    break;
  case kFreePlan: {
    Plan* plan = reinterpret_cast<Plan*>(static_cast<uintptr_t>(command[1]));
    drop(*plan);
    std::lock_guard<std::mutex> hold(shared_);
    plans_.erase(plan);
    break;
  }
  case kWriteInline:
    run_write(command, command + 5);
    break;
  case kWriteStaged: {
    void* bytes = reinterpret_cast<void*>(static_cast<uintptr_t>(command[5]));
    run_write(command, bytes);
    free(bytes);
    std::lock_guard<std::mutex> hold(shared_);
    staged_.erase(bytes);
    break;
  }
  case kCopy:
    run_copy(command);
    break;
  case kRead:
    run_read(command);
    break;
  case kReadFile:
    run_read_file(command);
    break;
  case kFence: {
    const std::string message = fence();
    answer_ = {command[1], message.empty() ? 0 : fail("sync", message), nullptr};
    break;
  }
  case kReplay:
    replay(*reinterpret_cast<Plan*>(static_cast<uintptr_t>(command[1])));
    break;
  case kForeign: {
    const ao_entry& entry = *reinterpret_cast<const ao_entry*>(static_cast<uintptr_t>(command[1]));
    run_kernel(entry, command + 2);
    break;
  }
  case kSend:
    run_send(command);
    break;
  case kReceive:
    run_receive(command);
    break;
  case kEndHandoff:
    reinterpret_cast<Handoff*>(static_cast<uintptr_t>(command[1]))->end();
    break;
  default:
    abort(); // the two sides disagree about the protocol, which load compares
  }
  return length;
}

void Stream::replay(Plan& plan) { run_records(plan); }

void Stream::run_records(const Plan& plan, size_t begin, size_t end, int64_t index) {
  plan_ = plan.id;
  index_ = index;
  for (size_t at = begin; at < end && !stopping_.load(std::memory_order_relaxed);) {
    const double* command = plan.records.data() + at;
    at += execute(command);
    if (counts(static_cast<int>(command[0]))) index_++;
  }
  plan_ = 0;
}

} // namespace ao
