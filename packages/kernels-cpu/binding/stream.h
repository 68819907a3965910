// One in-order stream: a thread that runs the commands of a ring. It never calls into JavaScript and never waits for it.
//
// A command that fails poisons the blocks it writes. A later command that reads a poisoned block is skipped and passes the
// original failure on to what it writes; writing a block from its start through OUT, or discarding it, heals it. While
// nothing is poisoned this costs one test per command.
//
// What commands do to memory is virtual: another device's stream (packages/kernels-cuda) does the same on its own.
#pragma once
#include <sys/types.h>

#include <condition_variable>
#include <map>
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
  void* own = nullptr; // of a device's stream
};

struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

class Stream;

// The stream of this addon's device on `device` threads or the device of that number; null with the reason in `why`.
std::unique_ptr<Stream> make_stream(uint32_t* control, double* ring, int device, const char* isa, bool check,
                                    void (*settle)(void*, const struct Settled&), void* owner, std::string* why);
// What createStream says of it.
struct StreamFacts {
  int threads;
  std::string isa;
};
StreamFacts facts_of(const Stream& stream);

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

  // Takes over ctx. `check` makes every field of every command be looked at before it runs. Nothing runs before start().
  Stream(uint32_t* control, double* ring, ao_ctx* ctx, bool check, Settle settle, void* owner);
  virtual ~Stream();
  void start();
  void
  stop(); // ends after the current command; what is queued behind it is dropped. Before the destructor of a derived class ends

  // --- JavaScript's thread ---
  void wake();
  // Returns when, counting what was published up to `tail` and `sequence`, `room` doubles of the ring are free and at most
  // `queued` commands are unfinished.
  void wait(uint32_t tail, uint32_t room, uint32_t sequence, uint32_t queued);
  virtual void* reserve(size_t bytes) { return arena_.reserve(bytes); }
  // At once; only where no queued command uses the memory, or, to read, while the stream is idle.
  virtual void poke(void* to, const Bytes& bytes);
  virtual uint32_t peek(uintptr_t block, size_t offset, const Bytes& bytes); // the failure that poisons the block, or 0
  void* stage(const void* bytes, size_t size);
  Plan* add_plan(double id, const double* records, size_t length);
  std::vector<Failure> take_failures();
  // The failure that poisons a block, or 0. Only while the stream is idle.
  uint32_t failure_of(uintptr_t block) const;
  const ao_ctx* ctx() const { return ctx_; }

protected:
  virtual void begin() {} // on the thread, before its first command
  virtual size_t execute(const double* command);
  virtual int run_entry(const ao_entry& entry, const double* record) { return entry.run(record, ctx_); }
  // Each returns what went wrong, or nothing.
  virtual std::string write(uint8_t* to, const void* from, size_t size);
  virtual std::string move(uint8_t* to, const uint8_t* from, size_t size);
  virtual std::string read(uint8_t* to, const uint8_t* from, size_t size);
  virtual std::string read_file(uint8_t* to, size_t size, int fd, off_t position);
  virtual std::string fence() { return {}; } // all before it has run
  virtual void replay(Plan& plan);
  virtual void drop(Plan&) {} // before a plan is freed
  virtual void release(void* block) { arena_.release(block); }
  virtual uintptr_t find(const void* address) const { return arena_.find(address); }

  uint32_t fail(const char* op, const std::string& message);
  void poison(uintptr_t block, uint32_t failure);
  // The records from `begin` to `end`, of which the first has number `index`.
  void run_records(const Plan& plan, size_t begin, size_t end, int64_t index);
  void run_records(const Plan& plan) { run_records(plan, 0, plan.records.size(), 0); }
  size_t length_of(const double* command) const; // doubles

private:
  void loop();
  bool await(uint32_t head);
  void finish(uint32_t head);
  void run_kernel(const ao_entry& entry, const double* record);
  void run_write(const double* command, const void* bytes);
  void run_copy(const double* command);
  void run_read(const double* command);
  void run_read_file(const double* command);
  void run_send(const double* command);
  void run_receive(const double* command);

  uint32_t input_failure(const ao_entry& entry, const double* record) const;
  std::string wrong_field(const ao_entry& entry, const double* record) const;
  void poison_outputs(const ao_entry& entry, const double* record, uint32_t failure);
  void heal_outputs(const ao_entry& entry, const double* record);
  void heal(uintptr_t block);

protected:
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
  mutable std::mutex sleep_, done_lock_, shared_;
  std::condition_variable woken_, done_;
  // under shared_
  std::vector<Failure> failures_;
  uint32_t failure_count_ = 0;
  std::map<uint32_t, std::string> reasons_; // of the last failures, for what is sent to other streams
  std::unordered_map<Plan*, std::unique_ptr<Plan>> plans_;
  std::unordered_set<void*> staged_;

  std::thread thread_;
};

} // namespace ao
