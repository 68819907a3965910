// Blocks run one after the other. A block's threads are fibers on stacks of their own, which go round: each runs until it ends or
// meets a barrier or a shuffle that others have not reached.
#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <memory>
#include <vector>

namespace emulator {

struct Graph {
  std::vector<std::function<void()>> work;
  int users = 1;
};
struct Stream {
  Graph* recording = nullptr;
};

thread_local Indices now;

namespace {

constexpr size_t kStack = 64 << 10, kShared = 228 << 10;

// Saves the registers that a call keeps, and goes on where `to` was left.
#if defined(__x86_64__)
extern "C" void ao_emulator_switch(void** from, void* to);
asm(R"(
.text
.local ao_emulator_switch
.type ao_emulator_switch, @function
ao_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ao_emulator_switch, .-ao_emulator_switch
)");
struct Context {
  void* at = nullptr;
  void make(char* stack, size_t size, void (*entry)()) {
    uintptr_t top = (reinterpret_cast<uintptr_t>(stack) + size) & ~uintptr_t{15};
    void** p = reinterpret_cast<void**>(top);
    *--p = nullptr; // as if called
    *--p = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; i++) *--p = nullptr;
    at = p;
  }
  static void swap(Context& from, Context& to) { ao_emulator_switch(&from.at, to.at); }
};
#else
struct Context {
  ucontext_t at;
  void make(char* stack, size_t size, void (*entry)()) {
    getcontext(&at);
    at.uc_stack.ss_sp = stack;
    at.uc_stack.ss_size = size;
    at.uc_link = nullptr;
    makecontext(&at, entry, 0);
  }
  static void swap(Context& from, Context& to) { swapcontext(&from.at, &to.at); }
};
#endif

struct Fiber {
  Context context;
  dim3 thread;
  bool done = false;
};
struct Warp {
  int alive = 0, arrived = 0;
  unsigned generation = 0;
  unsigned lanes = 0;
  uint64_t values[2][32]; // of even and odd generations
  unsigned gave[2];       // the lanes that were alive then
};

struct Block {
  Context scheduler;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  std::unique_ptr<char[]> stacks;
  size_t stack_count = 0;
  alignas(64) char shared[kShared];
  int alive = 0, arrived = 0, current = 0;
  unsigned generation = 0;
  const std::function<void()>* kernel = nullptr;
};
thread_local std::unique_ptr<Block> block;

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "CUDA emulator: %s (block %u, %u; thread %u of %u)\n", what, now.block.x, now.block.y, now.thread.x,
          now.threads.x);
  abort();
}

void yield() {
  Block& b = *block;
  Fiber& me = b.fibers[static_cast<size_t>(b.current)];
  Context::swap(me.context, b.scheduler);
}

void run_fiber() {
  Block& b = *block;
  (*b.kernel)();
  Fiber& me = b.fibers[static_cast<size_t>(b.current)];
  Warp& warp = b.warps[static_cast<size_t>(b.current / 32)];
  me.done = true;
  b.alive--, warp.alive--;
  warp.lanes &= ~(1u << (b.current % 32));
  if (warp.arrived) die("a thread ended while its warp waits in a shuffle");
  if (b.arrived && b.arrived == b.alive) b.arrived = 0, b.generation++;
  Context::swap(me.context, b.scheduler);
}

void run_block(int threads) {
  Block& b = *block;
  b.fibers.assign(static_cast<size_t>(threads), Fiber());
  b.warps.assign(static_cast<size_t>(threads + 31) / 32, Warp());
  if (b.stack_count < static_cast<size_t>(threads)) {
    b.stacks.reset(new char[static_cast<size_t>(threads) * kStack]);
    b.stack_count = static_cast<size_t>(threads);
  }
  b.alive = threads, b.arrived = 0;
  for (int i = 0; i < threads; i++) {
    Fiber& f = b.fibers[static_cast<size_t>(i)];
    f.thread = dim3(static_cast<unsigned>(i) % now.threads.x, static_cast<unsigned>(i) / now.threads.x % now.threads.y,
                    static_cast<unsigned>(i) / now.threads.x / now.threads.y);
    f.context.make(b.stacks.get() + static_cast<size_t>(i) * kStack, kStack, run_fiber);
    Warp& warp = b.warps[static_cast<size_t>(i / 32)];
    warp.alive++, warp.lanes |= 1u << (i % 32);
  }
  for (int idle = 0; b.alive > 0;) {
    const int before = b.alive;
    const unsigned generation = b.generation;
    unsigned warps = 0;
    for (const Warp& w : b.warps) warps += w.generation;
    for (int i = 0; i < threads; i++) {
      Fiber& f = b.fibers[static_cast<size_t>(i)];
      if (f.done) continue;
      b.current = i;
      now.thread = f.thread;
      Context::swap(b.scheduler, f.context);
    }
    for (const Warp& w : b.warps) warps -= w.generation;
    idle = b.alive == before && b.generation == generation && warps == 0 ? idle + 1 : 0;
    if (idle > 2) die("no thread can go on: a barrier or shuffle that only some reach");
  }
}

} // namespace

int lane() { return block->current % 32; }

void barrier() {
  Block& b = *block;
  const unsigned mine = b.generation;
  if (++b.arrived == b.alive) {
    b.arrived = 0, b.generation++;
    return;
  }
  while (b.generation == mine) yield();
}

uint64_t exchange(unsigned mask, uint64_t value, int from) {
  Warp& w = block->warps[static_cast<size_t>(block->current / 32)];
  if (mask != 0xffffffffu && mask != w.lanes) die("a shuffle's mask is not the live lanes of the warp");
  const unsigned mine = w.generation;
  uint64_t* values = w.values[mine % 2];
  values[lane()] = value;
  const int me = lane();
  if (++w.arrived == w.alive) {
    w.arrived = 0, w.generation++;
    w.gave[mine % 2] = w.lanes;
  } else {
    while (w.generation == mine) yield();
  }
  return w.gave[mine % 2] >> from & 1 ? values[from] : values[me];
}

const uint64_t* show(uint64_t value) {
  Warp& w = block->warps[static_cast<size_t>(block->current / 32)];
  if (w.lanes != 0xffffffffu) die("a warp's instruction that not all its lanes reach");
  const unsigned mine = w.generation;
  exchange(w.lanes, value, lane());
  return w.values[mine % 2];
}

void* shared_memory() { return block->shared; }

void launch(Stream* stream, dim3 grid, dim3 threads, size_t shared, std::function<void()> kernel) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads.x * threads.y * threads.z == 0 ||
      threads.x * threads.y * threads.z > 1024 || grid.y > 65535 || grid.z > 65535 || shared > kShared)
    die("a launch of a size that CUDA refuses");
  auto run = [=] {
    if (!block) block = std::make_unique<Block>();
    block->kernel = &kernel;
    now.threads = threads, now.blocks = grid;
    for (unsigned z = 0; z < grid.z; z++)
      for (unsigned y = 0; y < grid.y; y++)
        for (unsigned x = 0; x < grid.x; x++) {
          now.block = dim3(x, y, z);
          run_block(static_cast<int>(threads.x * threads.y * threads.z));
        }
  };
  if (stream && stream->recording)
    stream->recording->work.emplace_back(run);
  else
    run();
}

namespace {
// What machine this is: AO_EMULATED_GPUS=0 or 2, AO_EMULATED_DRIVER=12040, the CUDA that its driver runs.
int setting(const char* name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }
int gpus() { return setting("AO_EMULATED_GPUS", 1); }
int driver() { return gpus() ? setting("AO_EMULATED_DRIVER", 13000) : 0; }

cudaError_t enqueue(Stream* stream, std::function<void()> work) {
  if (stream && stream->recording)
    stream->recording->work.push_back(std::move(work));
  else
    work();
  return cudaSuccess;
}
} // namespace

} // namespace emulator

using emulator::Graph;
using emulator::Stream;

const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? "out of memory" : "an error";
}
const char* cudaGetErrorName(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaError";
}
cudaError_t cudaDriverGetVersion(int* version) { return *version = emulator::driver(), cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulator::gpus();
  if (*count && emulator::driver() < 13000) return *count = 0, cudaErrorInsufficientDriver;
  return *count ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {"emulated GPU", 8, 0, 4, 1 << 20, size_t{8} << 30, 227 << 10};
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  return *value = attribute == cudaDevAttrMultiProcessorCount ? 4 : 227 << 10, cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) { return *free = *total = size_t{8} << 30, cudaSuccess; }
cudaError_t cudaMalloc(void** p, size_t bytes) {
  const size_t whole = (bytes + 255) / 256 * 256;
  *p = aligned_alloc(256, whole ? whole : 256);
  if (!*p) return cudaErrorMemoryAllocation;
  memset(*p, 0xff, whole < (size_t{1} << 20) ? whole : size_t{1} << 20); // NaN in every dtype
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) { return free(p), cudaSuccess; }
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) { return cudaMalloc(p, bytes); }
cudaError_t cudaFreeHost(void* p) { return free(p), cudaSuccess; }
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return emulator::enqueue(stream, [=] { memmove(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return emulator::enqueue(stream, [=] { memset(to, value, bytes); });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = new Stream, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->recording = new Graph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = stream->recording;
  stream->recording = nullptr;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  graph->users++;
  *exec = graph;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t) {
  for (const auto& work : exec->work) work();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (--graph->users == 0) delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return cudaGraphDestroy(exec); }
