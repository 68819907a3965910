// One in-order stream: a thread that runs the commands of a ring. It never calls into JavaScript and never waits for it.
//
// A command that fails poisons the blocks it writes. A later command that reads a poisoned block is skipped and passes the
// original failure on to what it writes; writing a block from its start through OUT, or discarding it, heals it. While
// nothing is poisoned this costs one test per command.
#pragma once
#include <condition_variable>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ao/ao.h"
#include "arena.h"
#include "ring.h"

namespace ao {

struct Failure {
  uint32_t id; // 1, 2, ...
  uint64_t sequence;
  double plan;   // 0: an eager command
  int64_t index; // of the command inside the plan
  std::string op, message;
};

struct Plan {
  double id;
  std::vector<double> records;
};

// What a stream tells JavaScript: the request `id` is done, or met `failure`.
struct Settled {
  double id = 0; // 1, 2, ...
  uint32_t failure = 0;
  void* pin = nullptr; // memory that may be let go, or null
};

struct Pin {
  uint8_t* data;
};

class Stream {
public:
  using Settle = void (*)(void* owner, const Settled& settled);

  // Takes over ctx. `check` makes every field of every command be looked at before it runs.
  Stream(uint32_t* control, double* ring, ao_ctx* ctx, bool check, Settle settle, void* owner);
  ~Stream(); // ends after the current command; what is queued behind it is dropped

  // --- JavaScript's thread ---
  void wake();
  // Returns when, counting what was published up to `tail` and `sequence`, `room` doubles of the ring are free and at most
  // `queued` commands are unfinished.
  void wait(uint32_t tail, uint32_t room, uint32_t sequence, uint32_t queued);
  Arena& arena() { return arena_; }
  void* stage(const void* bytes, size_t size);
  Plan* add_plan(double id, const double* records, size_t length);
  std::vector<Failure> take_failures();
  // The failure that poisons a block, or 0. Only while the stream is idle.
  uint32_t failure_of(uintptr_t block) const;
  const ao_ctx* ctx() const { return ctx_; }

private:
  void loop();
  bool await(uint32_t head);
  void finish(uint32_t head);
  size_t execute(const double* command);
  void run_kernel(const ao_entry& entry, const double* record);
  void run_write(const double* command, const void* bytes);
  void run_copy(const double* command);
  void run_read(const double* command);
  void run_read_file(const double* command);
  void replay(const Plan& plan);

  uint32_t fail(const char* op, const std::string& message);
  uint32_t input_failure(const ao_entry& entry, const double* record) const;
  std::string wrong_field(const ao_entry& entry, const double* record) const;
  void poison_outputs(const ao_entry& entry, const double* record, uint32_t failure);
  void heal_outputs(const ao_entry& entry, const double* record);
  void poison(uintptr_t block, uint32_t failure);
  void heal(uintptr_t block);

  uint32_t* const control_;
  double* const ring_;
  ao_ctx* const ctx_;
  const ao_entry* entries_;
  const bool check_;
  const Settle settle_;
  void* const owner_;
  Arena arena_;

  // the stream's thread
  uint64_t sequence_ = 0;
  uint32_t completed_ = 0;
  Settled answer_; // told once its command counts as finished
  double plan_ = 0;
  int64_t index_ = 0;
  std::unordered_map<uintptr_t, uint32_t> poisoned_;

  std::atomic<bool> stopping_{false}, waiting_{false};
  std::mutex sleep_, done_lock_, shared_;
  std::condition_variable woken_, done_;
  // under shared_
  std::vector<Failure> failures_;
  uint32_t failure_count_ = 0;
  std::unordered_map<Plan*, std::unique_ptr<Plan>> plans_;
  std::unordered_set<void*> staged_;

  std::thread thread_;
};

} // namespace ao
