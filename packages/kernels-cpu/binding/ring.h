// The memory that JavaScript and the stream's thread share: control words, and a ring of doubles that JavaScript fills with
// commands and the thread runs in order. Both sides count modulo 2^32; the capacity is a power of two.
//
// A command is [code, fields...]. code >= 0 is a row of exports.inc, and its fields are the record that the entry's `run`
// takes. Commands below zero belong to the stream. A command never spans the end of the ring: Wrap skips to the start.
// src/protocol.ts holds the same numbers; protocol_text() is compared with it at load.
#pragma once
#include <stdint.h>
#include <stdio.h>

#include <atomic>
#include <string>

namespace ao {

constexpr uint32_t kRingDoubles = 1u << 17;
constexpr uint32_t kMaxQueued = 4096;

// Words of the control array, each on a cache line of its own.
enum Control : int {
  kTail = 0,       // doubles published by JavaScript
  kHead = 16,      // doubles consumed by the thread
  kCompleted = 32, // kernels, copies and replays finished or skipped
  kSleeping = 48,  // 1 while the thread waits to be woken
  kErrors = 64,    // failures recorded so far
  kPoisoned = 80,  // blocks poisoned now
  kControlWords = 96,
};

// Commands of the stream itself. Those marked + count as commands: they have a sequence number.
enum Builtin : int {
  kWrap = -1,        // []                              skip to the start of the ring
  kDiscard = -2,     // [block]                         what the block held no longer matters
  kRelease = -3,     // [block]                         give the block back to the system
  kFreePlan = -4,    // [plan]
  kWriteInline = -5, // [block, offset, nbytes, whole, payload...]       + bytes travel in the ring
  kWriteStaged = -6, // [block, offset, nbytes, whole, staging]          + bytes travel in memory that the command frees
  kCopy = -7,        // [to, toOffset, from, fromOffset, nbytes, whole]  +
  kRead = -8,        // [block, offset, nbytes, pin, id]                 + into pinned JavaScript memory, then settle id
  kReadFile = -9,    // [block, offset, nbytes, whole, fd, position, id] + pread into the block, then settle id
  kFence = -10,      // [id]                            + settle id
  kReplay = -11,     // [plan]                          + run the records of a plan
  kForeign = -12,    // [entry, record...]              + run a kernel of a plugin
  kSend = -13,       // [handoff, block, offset, nbytes]                 + a block's bytes for another stream
  kReceive = -14,    // [handoff, block, offset, nbytes, whole]          + what another stream sends, into a block
  kEndHandoff = -15, // [handoff]                       + this stream is done with it
};

// Whether a command has a sequence number.
inline bool counts(int code) { return code >= 0 || code <= kWriteInline; }

// What both sides must agree on besides the rows.
inline std::string protocol_text() {
  char text[128];
  snprintf(text, sizeof text, "ring-3 %u %u %d %d %d %d %d %d %d %d", kRingDoubles, kMaxQueued, kTail, kHead,
           kCompleted, kSleeping, kErrors, kPoisoned, kControlWords, kEndHandoff);
  return text;
}

inline std::atomic_ref<uint32_t> word(uint32_t* control, Control at) { return std::atomic_ref<uint32_t>(control[at]); }

} // namespace ao
