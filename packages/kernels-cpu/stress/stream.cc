// The stream without Node, for ThreadSanitizer: this thread plays JavaScript (writes commands, sleeps, waits, reads while
// idle), against two kernels of its own. `node scripts/sanitize.mjs thread` builds and runs it.
#include "../binding/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>
#include <vector>

struct ao_ctx {
  char error[64] = "";
};

namespace {

const ao_field set_fields[] = {{"out", 'o', 1}, {"value", 'f', 1}};
const ao_field add_fields[] = {{"out", 'b', 1}, {"x", 'i', 1}};

template <class T>
T* pointer(double value) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(value));
}

// *out = value; fails on a negative one.
int run_set(const double* record, ao_ctx* ctx) {
  if (record[1] < 0) {
    snprintf(ctx->error, sizeof ctx->error, "negative");
    return 1;
  }
  *pointer<double>(record[0]) = record[1];
  return 0;
}

// *out += *x
int run_add(const double* record, ao_ctx*) {
  *pointer<double>(record[0]) += *pointer<double>(record[1]);
  return 0;
}

const ao_entry entries[] = {{"set", set_fields, 2, 2, run_set}, {"add", add_fields, 2, 2, run_add}};

} // namespace

const ao_entry* ao_cpu_entries(int* count) {
  *count = 2;
  return entries;
}
void ao_ctx_destroy(ao_ctx* ctx) { delete ctx; }
const char* ao_ctx_error(const ao_ctx* ctx) { return ctx->error; }
void ao_ctx_reset(ao_ctx* ctx) { ctx->error[0] = 0; }

namespace {

struct JavaScript {
  alignas(64) uint32_t control[ao::kControlWords] = {};
  std::vector<double> ring = std::vector<double>(ao::kRingDoubles);
  std::atomic<int> settled{0};
  uint32_t written = 0, sequence = 0;
  ao::Stream stream{control,
                    ring.data(),
                    new ao_ctx,
                    true,
                    [](void* owner, const ao::Settled&) { static_cast<JavaScript*>(owner)->settled++; },
                    this};

  JavaScript() { stream.start(); }

  void send(bool counted, std::initializer_list<double> command) {
    const uint32_t length = static_cast<uint32_t>(command.size()),
                   end = ao::kRingDoubles - (written & (ao::kRingDoubles - 1));
    stream.wait(written, length + 64, sequence, ao::kMaxQueued - 1);
    if (end < length) {
      ring[written & (ao::kRingDoubles - 1)] = ao::kWrap;
      written += end;
    }
    for (const double value : command) ring[written++ & (ao::kRingDoubles - 1)] = value;
    sequence += counted;
    ao::word(control, ao::kTail).store(written);
    if (ao::word(control, ao::kSleeping).load()) stream.wake();
  }
  void drain() { stream.wait(written, ao::kRingDoubles, sequence, 0); }
  double address(const void* p) { return static_cast<double>(reinterpret_cast<uintptr_t>(p)); }
};

void check(bool ok, const char* what) {
  if (ok) return;
  printf("wrong: %s\n", what);
  exit(1);
}

} // namespace

int main() {
  for (int round = 0; round < 20; round++) {
    JavaScript js;
    double* sum = static_cast<double*>(js.stream.arena().reserve(64));
    double* one = static_cast<double*>(js.stream.arena().reserve(64));
    double expected = 0;
    int requests = 0;
    *one = 1; // a new block, before its first command
    js.send(true, {0, js.address(sum), 0});
    for (int i = 0; i < 20000; i++) {
      js.send(true, {1, js.address(sum), js.address(one)});
      expected++;
      if (i % 97 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 120));
      if (i % 500 == 0) {
        js.drain();
        check(*sum == expected && js.stream.failure_of(reinterpret_cast<uintptr_t>(sum)) == 0, "the sum after a wait");
      }
      if (i % 1000 == 0) {
        double* block = static_cast<double*>(js.stream.arena().reserve(64));
        js.send(true, {0, js.address(block), -1});
        js.send(true, {1, js.address(block), js.address(one)});
        js.send(false, {ao::kRelease, js.address(block)});
        js.send(true, {ao::kFence, static_cast<double>(++requests)});
      }
      if (i % 1500 == 0) {
        const double records[] = {1, js.address(sum), js.address(one), 1, js.address(sum), js.address(one)};
        ao::Plan* plan = js.stream.add_plan(i + 1, records, 6);
        js.send(true, {ao::kReplay, js.address(plan)});
        js.send(false, {ao::kFreePlan, js.address(plan)});
        expected += 2;
        const double bytes = 1;
        js.send(true, {ao::kWriteStaged, js.address(one), 0, 8, 1, js.address(js.stream.stage(&bytes, 8))});
      }
    }
    if (round % 2) continue; // end with commands queued
    js.drain();
    check(*sum == expected, "the sum at the end");
    check(js.settled == requests, "requests settled");
    check(js.stream.take_failures().size() == static_cast<size_t>(requests), "failures");
  }
  printf("20 streams of 20,000 commands: ok\n");
}
