// The stream of a GPU: the thread enqueues kernels on a CUDA stream, plans are CUDA graphs. A kernel that finds its data wrong says so in
// a report that is looked at when something is read or waited for; then all that was written from that command on is poisoned with the
// failure, as the GPU has gone on meanwhile.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/ctx.h"
#include "base/transfer.h"
#include "profile.h"
#include "stream.h"

namespace ao {

class CudaStream : public Stream {
public:
  CudaStream(uint32_t* control, double* ring, ao_ctx* ctx, bool check, Settle settle, void* owner);
  ~CudaStream() override;
  bool open(std::string* why);

  void* reserve(size_t bytes) override;
  void poke(void* to, const Bytes& bytes) override;
  uint32_t peek(uintptr_t block, size_t offset, const Bytes& bytes) override;
  int device() const { return device_; }

protected:
  void begin() override;
  size_t execute(const double* command) override;
  int run_entry(const ao_entry& entry, const double* record) override;
  std::string write(uint8_t* to, const void* from, size_t size) override;
  std::string move(uint8_t* to, const uint8_t* from, size_t size) override;
  std::string read(uint8_t* to, const uint8_t* from, size_t size) override;
  std::string read_file(uint8_t* to, size_t size, int fd, off_t position) override;
  std::string fence() override;
  void replay(Plan& plan) override;
  void drop(Plan& plan) override;
  void release(void* block) override;
  uintptr_t find(const void* address) const override;

private:
  struct Graph; // of a plan
  std::string reason(int failed);
  void wrote(const void* at);
  void look(); // at the reports of what has run
  bool capture(Plan& plan, Graph& graph);
  bool capture_segment(const Plan& plan, Graph& graph, size_t which);
  void note_outputs(const ao_entry& entry, const double* record);
  size_t run_together(const double* command);

  ao_ctx* const gpu_;
  const int device_;
  Transfer transfer_;
  Profile profile_;
  std::map<uintptr_t, size_t> blocks_; // under memory_
  mutable std::mutex memory_;
  std::recursive_mutex gpu_lock_; // whoever enqueues
  bool capturing_ = false;
  const double* plan_end_ = nullptr; // of the records that are being captured
  // since the last look: blocks by the command that wrote them last, plans by their first replay, and kernels by their command
  std::unordered_map<uintptr_t, uint64_t> written_;
  std::unordered_map<uint32_t, uint64_t> replayed_;
  static constexpr size_t kNames = 8192;
  const char* names_[kNames] = {};
};

} // namespace ao
