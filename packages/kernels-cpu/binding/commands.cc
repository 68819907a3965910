// What each command does to memory and to poison.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "handoff.h"
#include "stream.h"

namespace ao {
namespace {

constexpr size_t kReasons = 64;

uint8_t* address(double block, double offset) {
  return reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(block)) + static_cast<size_t>(offset);
}

// Calls visit(field, pointer) for each pointer of a record that is there.
template <class Visit>
void each_pointer(const ao_entry& entry, const double* record, Visit visit) {
  for (int i = 0; i < entry.field_count; record += entry.fields[i++].count) {
    const char kind = entry.fields[i].kind;
    if ((kind == 'i' || kind == 'o' || kind == 'b') && record[0] != 0)
      visit(entry.fields[i], reinterpret_cast<const void*>(static_cast<uintptr_t>(record[0])));
  }
}

} // namespace

void Stream::run_kernel(const ao_entry& entry, const double* record) {
  if (!poisoned_.empty()) {
    if (const uint32_t failure = input_failure(entry, record)) return poison_outputs(entry, record, failure);
  }
  if (check_) {
    const std::string wrong = wrong_field(entry, record);
    if (!wrong.empty()) return poison_outputs(entry, record, fail(entry.name, wrong));
  }
  std::string message;
  try {
    if (run_entry(entry, record)) message = *ao_ctx_error(ctx_) ? ao_ctx_error(ctx_) : "failed without a reason";
  } catch (const std::exception& error) {
    message = error.what();
  }
  ao_ctx_reset(ctx_);
  if (!message.empty()) {
    poison_outputs(entry, record, fail(entry.name, message));
  } else if (!poisoned_.empty()) {
    heal_outputs(entry, record);
  }
}

void Stream::run_write(const double* command, const void* bytes) {
  const uintptr_t block = static_cast<uintptr_t>(command[1]);
  const std::string message = write(address(command[1], command[2]), bytes, static_cast<size_t>(command[3]));
  if (!message.empty())
    poison(block, fail("write", message));
  else if (command[4] != 0)
    heal(block);
}

std::string Stream::write(uint8_t* to, const void* from, size_t size) { return memcpy(to, from, size), std::string(); }

std::string Stream::move(uint8_t* to, const uint8_t* from, size_t size) {
  return memmove(to, from, size), std::string();
}

std::string Stream::read(uint8_t* to, const uint8_t* from, size_t size) {
  return memcpy(to, from, size), std::string();
}

void Stream::poke(void* to, const Bytes& bytes) { memcpy(to, bytes.data, bytes.size); }

uint32_t Stream::peek(uintptr_t block, size_t offset, const Bytes& bytes) {
  const uint32_t failure = failure_of(block);
  if (!failure) memcpy(bytes.data, reinterpret_cast<uint8_t*>(block) + offset, bytes.size);
  return failure;
}

void Stream::run_copy(const double* command) {
  const uintptr_t to = static_cast<uintptr_t>(command[1]);
  if (const uint32_t failure = failure_of(static_cast<uintptr_t>(command[3]))) return poison(to, failure);
  const std::string message =
      move(address(command[1], command[2]), address(command[3], command[4]), static_cast<size_t>(command[5]));
  if (!message.empty())
    poison(to, fail("copy", message));
  else if (command[6] != 0)
    heal(to);
}

void Stream::run_read(const double* command) {
  Pin* pin = reinterpret_cast<Pin*>(static_cast<uintptr_t>(command[4]));
  const uintptr_t block = static_cast<uintptr_t>(command[1]);
  uint32_t failure = failure_of(block);
  if (!failure) {
    const std::string message = read(pin->data, address(command[1], command[2]), static_cast<size_t>(command[3]));
    failure = message.empty() ? failure_of(block) : fail("read", message);
  }
  answer_ = {command[5], failure, pin};
}

std::string Stream::read_file(uint8_t* to, size_t size, int fd, off_t position) {
  std::string message;
  for (size_t done = 0; done < size && message.empty();) {
    const ssize_t got =
        pread(fd, to + done, std::min(size - done, size_t{1} << 30), position + static_cast<off_t>(done));
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (got == 0) {
      message = "the file ends at byte " + std::to_string(position + static_cast<off_t>(done)) + ", but bytes up to " +
                std::to_string(position + static_cast<off_t>(size)) + " were asked for";
    } else if (errno != EINTR) {
      message = "the file cannot be read: " + std::string(strerror(errno));
    }
  }
  return message;
}

void Stream::run_read_file(const double* command) {
  const uintptr_t block = static_cast<uintptr_t>(command[1]);
  uint8_t* to = address(command[1], command[2]);
  const size_t size = static_cast<size_t>(command[3]);
  const int fd = static_cast<int>(command[5]);
  const off_t position = static_cast<off_t>(command[6]);
  const std::string message = read_file(to, size, fd, position);
  uint32_t failure = 0;
  if (!message.empty()) {
    poison(block, failure = fail("readFileInto", message));
  } else if (command[4] != 0) {
    heal(block);
  }
  answer_ = {command[7], failure, nullptr};
}

void Stream::run_send(const double* command) {
  Handoff* handoff = reinterpret_cast<Handoff*>(static_cast<uintptr_t>(command[1]));
  if (!handoff->await(false, stopping_)) return;
  const uintptr_t block = static_cast<uintptr_t>(command[2]);
  uint32_t failure = failure_of(block);
  std::string message;
  if (!failure) {
    message = read(handoff->bytes(), address(command[2], command[3]), static_cast<size_t>(command[4]));
    failure = message.empty() ? failure_of(block) : fail("send", message);
  }
  if (failure) message = reasons_.count(failure) ? reasons_[failure] : "what it is made of failed earlier";
  handoff->fill(message);
}

void Stream::run_receive(const double* command) {
  Handoff* handoff = reinterpret_cast<Handoff*>(static_cast<uintptr_t>(command[1]));
  if (!handoff->await(true, stopping_)) return;
  const uintptr_t block = static_cast<uintptr_t>(command[2]);
  std::string message = handoff->failure();
  if (message.empty())
    message = write(address(command[2], command[3]), handoff->bytes(), static_cast<size_t>(command[4]));
  handoff->take();
  if (!message.empty())
    poison(block, fail("receive", message));
  else if (command[5] != 0)
    heal(block);
}

uint32_t Stream::fail(const char* op, const std::string& message) {
  std::lock_guard<std::mutex> hold(shared_);
  const uint32_t id = ++failure_count_;
  reasons_[id] = std::string(op) + ": " + message;
  if (reasons_.size() > kReasons) reasons_.erase(reasons_.begin());
  failures_.push_back({id, sequence_, plan_, index_, op, message});
  word(control_, kErrors).store(id);
  return id;
}

uint32_t Stream::failure_of(uintptr_t block) const {
  if (poisoned_.empty()) return 0;
  const auto found = poisoned_.find(block);
  return found == poisoned_.end() ? 0 : found->second;
}

uint32_t Stream::input_failure(const ao_entry& entry, const double* record) const {
  uint32_t failure = 0;
  each_pointer(entry, record, [&](const ao_field& field, const void* at) {
    if (field.kind != 'o' && !failure) failure = failure_of(find(at));
  });
  return failure;
}

std::string Stream::wrong_field(const ao_entry& entry, const double* record) const {
  for (int i = 0, at = 0; i < entry.field_count; at += entry.fields[i++].count) {
    for (int j = 0; j < entry.fields[i].count; j++) {
      if (entry.fields[i].kind != 'f' && record[at + j] != record[at + j])
        return std::string(entry.fields[i].name) + " is not a number";
    }
  }
  std::string message;
  each_pointer(entry, record, [&](const ao_field& field, const void* at) {
    if (message.empty() && !find(at)) message = std::string(field.name) + " points to no live buffer";
  });
  return message;
}

void Stream::poison_outputs(const ao_entry& entry, const double* record, uint32_t failure) {
  each_pointer(entry, record, [&](const ao_field& field, const void* at) {
    const uintptr_t block = field.kind == 'i' ? 0 : find(at);
    if (block) poison(block, failure);
  });
}

void Stream::heal_outputs(const ao_entry& entry, const double* record) {
  each_pointer(entry, record, [&](const ao_field& field, const void* at) {
    if (field.kind == 'o') heal(reinterpret_cast<uintptr_t>(at));
  });
}

void Stream::poison(uintptr_t block, uint32_t failure) {
  poisoned_[block] = failure;
  word(control_, kPoisoned).store(static_cast<uint32_t>(poisoned_.size()));
}

void Stream::heal(uintptr_t block) {
  if (poisoned_.empty() || !poisoned_.erase(block)) return;
  word(control_, kPoisoned).store(static_cast<uint32_t>(poisoned_.size()));
}

} // namespace ao
