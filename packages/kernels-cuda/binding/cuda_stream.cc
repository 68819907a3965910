#include "cuda_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libraries/nccl.h"
#include "libraries/sparse_lt.h"

namespace ao {
namespace {

constexpr size_t kSlack = 256; // readable behind each block
constexpr size_t kSmall = 4096;

void* pointer(double at) { return reinterpret_cast<void*>(static_cast<uintptr_t>(at)); }

} // namespace

// A plan's first replay runs kernel by kernel, so that modules and libraries are loaded; the second captures a graph. Where it sends to
// or receives from other streams it becomes one graph for what lies between.
struct CudaStream::Graph {
  struct Segment {
    size_t begin, end; // of the records
    int64_t index;     // of the first command
    cudaGraphExec_t exec = nullptr;
  };
  int replays = 0;
  bool captured = false, refused = false;
  std::vector<Segment> segments;
  std::unordered_map<uintptr_t, uint64_t> writes;
};

CudaStream::CudaStream(uint32_t* control, double* ring, ao_ctx* ctx, bool check, Settle settle, void* owner)
    : Stream(control, ring, ctx, check, settle, owner), gpu_(ctx), device_(ctx->device) {}

CudaStream::~CudaStream() {
  stop();
  cudaStreamSynchronize(gpu_->stream);
  for (const auto& [start, bytes] : blocks_) cudaFree(reinterpret_cast<void*>(start));
}

bool CudaStream::open(std::string* why) {
  if (!transfer_.open(gpu_)) return true;
  *why = reason(1);
  return false;
}

void CudaStream::begin() { cudaSetDevice(device_); }

std::string CudaStream::reason(int failed) {
  if (!failed) return {};
  const std::string why = ao_ctx_error(gpu_);
  ao_ctx_reset(gpu_);
  return why.empty() ? "failed without a reason" : why;
}

void* CudaStream::reserve(size_t bytes) {
  void* block = nullptr;
  cudaSetDevice(device_);
  if (cudaMalloc(&block, bytes + kSlack) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  std::lock_guard<std::mutex> hold(memory_);
  blocks_[reinterpret_cast<uintptr_t>(block)] = bytes;
  return block;
}

void CudaStream::release(void* block) {
  {
    std::lock_guard<std::mutex> hold(memory_);
    blocks_.erase(reinterpret_cast<uintptr_t>(block));
  }
  gpu_->weights.erase(block);
  forget_sparse(gpu_, block);
  written_.erase(reinterpret_cast<uintptr_t>(block));
  cudaFree(block);
}

uintptr_t CudaStream::find(const void* address) const {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  std::lock_guard<std::mutex> hold(memory_);
  auto next = blocks_.upper_bound(at);
  if (next == blocks_.begin()) return 0;
  --next;
  return at <= next->first + next->second ? next->first : 0;
}

void CudaStream::poke(void* to, const Bytes& bytes) {
  std::lock_guard<std::recursive_mutex> hold(gpu_lock_);
  cudaSetDevice(device_);
  write(static_cast<uint8_t*>(to), bytes.data, bytes.size);
}

uint32_t CudaStream::peek(uintptr_t block, size_t offset, const Bytes& bytes) {
  std::lock_guard<std::recursive_mutex> hold(gpu_lock_);
  cudaSetDevice(device_);
  const std::string message =
      failure_of(block) ? "" : read(bytes.data, reinterpret_cast<uint8_t*>(block) + offset, bytes.size);
  if (!message.empty()) return fail("read", message);
  return failure_of(block);
}

size_t CudaStream::execute(const double* command) {
  std::lock_guard<std::recursive_mutex> hold(gpu_lock_);
  if (capturing_) {
    if (const size_t length = run_together(command)) return length;
  }
  return Stream::execute(command);
}

// The commands from this one on that one kernel does: how many doubles they take, 0 where there is none such.
size_t CudaStream::run_together(const double* command) {
  constexpr int kMost = 4;
  const char* names[kMost];
  const double* records[kMost];
  const ao_entry* entries[kMost];
  size_t ends[kMost];
  int count = 0, taken = 0;
  for (const double* at = command; count < kMost && at < plan_end_;) {
    if (count > 0 && static_cast<int>(at[0]) == kDiscard) { // heals, and nothing is poisoned
      at += 2;
      continue;
    }
    if (at[0] < 0) break;
    entries[count] = &entries_[static_cast<int>(at[0])];
    names[count] = entries[count]->name, records[count] = at + 1;
    at += 1 + entries[count]->record_length;
    ends[count++] = static_cast<size_t>(at - command);
  }
  if (count < 2) return 0;
  ao_cuda_at(gpu_, static_cast<uint32_t>(plan_), static_cast<uint32_t>(index_));
  const int failed = ao_cuda_fused(names, records, count, gpu_, &taken);
  ao_ctx_reset(gpu_);
  if (failed || taken == 0) return 0; // one by one they say what is wrong
  for (int i = 0; i < taken; i++) note_outputs(*entries[i], records[i]);
  index_ += taken - 1;
  return ends[taken - 1];
}

void CudaStream::wrote(const void* at) {
  const uintptr_t block = find(at);
  if (!block) return;
  written_[block] = sequence_;
  forget_sparse(gpu_, pointer(static_cast<double>(block)));
}

int CudaStream::run_entry(const ao_entry& entry, const double* record) {
  ao_cuda_at(gpu_, static_cast<uint32_t>(plan_), static_cast<uint32_t>(plan_ != 0 ? index_ : sequence_));
  if (plan_ == 0) names_[sequence_ % kNames] = entry.name;
  note_outputs(entry, record);
  if (!profile_.on()) return entry.run(record, gpu_);
  profile_.begin(gpu_->stream);
  const int failed = entry.run(record, gpu_);
  profile_.end(gpu_->stream, entry, record);
  return failed;
}

void CudaStream::note_outputs(const ao_entry& entry, const double* record) {
  for (int i = 0, at = 0; i < entry.field_count; at += entry.fields[i++].count)
    if ((entry.fields[i].kind == 'o' || entry.fields[i].kind == 'b') && record[at] != 0) wrote(pointer(record[at]));
}

std::string CudaStream::write(uint8_t* to, const void* from, size_t size) {
  if (capturing_ || size <= kSmall) return reason(transfer_.write_small(gpu_, to, from, size));
  const uint8_t* bytes = static_cast<const uint8_t*>(from);
  for (size_t at = 0; at < size; at += Transfer::kChunk) {
    const size_t n = size - at < Transfer::kChunk ? size - at : Transfer::kChunk;
    uint8_t* room = transfer_.next(gpu_);
    if (!room) return reason(1);
    memcpy(room, bytes + at, n);
    if (transfer_.send(gpu_, to + at, n)) return reason(1);
  }
  return {};
}

std::string CudaStream::move(uint8_t* to, const uint8_t* from, size_t size) {
  wrote(to);
  const auto it = gpu_->weights.find(from);
  if (it != gpu_->weights.end()) gpu_->weights.erase(to); // a blob belongs to its address
  return reason(copy(gpu_, to, from, size));
}

std::string CudaStream::read(uint8_t* to, const uint8_t* from, size_t size) {
  const std::string message = reason(transfer_.read(gpu_, to, from, size));
  if (message.empty()) look();
  return message;
}

std::string CudaStream::read_file(uint8_t* to, size_t size, int fd, off_t position) {
  for (size_t at = 0; at < size; at += Transfer::kChunk) {
    const size_t n = size - at < Transfer::kChunk ? size - at : Transfer::kChunk;
    uint8_t* room = transfer_.next(gpu_);
    if (!room) return reason(1);
    const std::string message = Stream::read_file(room, n, fd, position + static_cast<off_t>(at));
    if (!message.empty()) return message;
    if (transfer_.send(gpu_, to + at, n)) return reason(1);
  }
  return {};
}

std::string CudaStream::fence() {
  const std::string message = reason(wait_for_stream(gpu_));
  if (message.empty()) look();
  return message;
}

void CudaStream::look() {
  ao_cuda_failure found[16];
  const int count = ao_cuda_failures(gpu_, found, 16);
  const double plan = plan_;
  const int64_t index = index_;
  const uint64_t sequence = sequence_;
  for (int i = 0; i < count; i++) {
    const auto replay = found[i].plan ? replayed_.find(found[i].plan) : replayed_.end();
    // the report has the low half of the number
    const uint64_t from = replay != replayed_.end() ? replay->second
                          : found[i].plan           ? 0
                                                    : (sequence & ~uint64_t{0xffffffff}) | found[i].index;
    plan_ = found[i].plan, index_ = found[i].index, sequence_ = from;
    const char* name = found[i].plan ? "replay" : names_[from % kNames];
    const uint32_t failure = fail(name ? name : "kernel", found[i].text);
    for (const auto& [block, by] : written_)
      if (by >= from) poison(block, failure);
  }
  plan_ = plan, index_ = index, sequence_ = sequence;
  written_.clear();
  replayed_.clear();
}

bool CudaStream::capture(Plan& plan, Graph& graph) {
  const auto code = [&](size_t at) { return static_cast<int>(plan.records[at]); };
  const auto crosses = [&](size_t at) { return code(at) == kSend || code(at) == kReceive; };
  int64_t index = 0;
  for (size_t at = 0; at < plan.records.size();) {
    const bool alone = crosses(at);
    Graph::Segment segment{at, at, index};
    do {
      if (counts(code(segment.end))) index++;
      segment.end += length_of(plan.records.data() + segment.end);
    } while (!alone && segment.end < plan.records.size() && !crosses(segment.end));
    graph.segments.push_back(segment);
    if (!alone && !capture_segment(plan, graph, graph.segments.size() - 1)) return false;
    at = segment.end;
  }
  return true;
}

bool CudaStream::capture_segment(const Plan& plan, Graph& graph, size_t which) {
  Graph::Segment& segment = graph.segments[which];
  cudaGraph_t made = nullptr;
  if (cudaStreamBeginCapture(gpu_->stream, cudaStreamCaptureModeRelaxed) != cudaSuccess) return false;
  capturing_ = true;
  plan_end_ = plan.records.data() + segment.end;
  written_.swap(graph.writes);
  run_records(plan, segment.begin, segment.end, segment.index);
  written_.swap(graph.writes);
  capturing_ = false;
  const bool ended = cudaStreamEndCapture(gpu_->stream, &made) == cudaSuccess && made;
  const bool good = ended && cudaGraphInstantiate(&segment.exec, made, 0) == cudaSuccess;
  if (made) cudaGraphDestroy(made);
  if (!good) cudaGetLastError();
  return good;
}

void CudaStream::replay(Plan& plan) {
  if (!plan.own) plan.own = new Graph;
  Graph& graph = *static_cast<Graph*>(plan.own);
  replayed_.emplace(static_cast<uint32_t>(plan.id), sequence_);
  const bool poisoned = word(control_, kPoisoned).load() != 0;
  if (graph.replays++ == 0 || graph.refused || poisoned || profile_.on()) return run_records(plan);
  if (!graph.captured && !(graph.captured = capture(plan, graph))) {
    graph.refused = true;
    return run_records(plan);
  }
  for (const Graph::Segment& segment : graph.segments) {
    if (!segment.exec) {
      run_records(plan, segment.begin, segment.end, segment.index);
      continue;
    }
    for (const auto& [block, by] : graph.writes) written_[block] = sequence_;
    replayed_.emplace(static_cast<uint32_t>(plan.id), sequence_); // sending looked, and forgot it
    if (check_cuda(gpu_, "cudaGraphLaunch", cudaGraphLaunch(segment.exec, gpu_->stream))) {
      const uint32_t failure = fail("replay", reason(1));
      for (const auto& [block, by] : graph.writes) poison(block, failure);
    }
  }
}

void CudaStream::drop(Plan& plan) {
  Graph* graph = static_cast<Graph*>(plan.own);
  if (!graph) return;
  for (const Graph::Segment& segment : graph->segments)
    if (segment.exec) cudaGraphExecDestroy(segment.exec);
  delete graph;
}

} // namespace ao
