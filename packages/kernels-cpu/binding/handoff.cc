#include "handoff.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <new>

namespace ao {
namespace {

constexpr long kLook = 20 * 1000 * 1000; // ns between two looks at whether the stream stops

} // namespace

Handoff* Handoff::create(size_t bytes) {
  void* room = malloc(sizeof(Handoff));
  uint8_t* data = static_cast<uint8_t*>(malloc(bytes ? bytes : 1));
  if (!room || !data) {
    free(room), free(data);
    return nullptr;
  }
  Handoff* made = new (room) Handoff;
  made->data_ = data;
  pthread_mutex_init(&made->lock_, nullptr);
  pthread_cond_init(&made->changed_, nullptr);
  return made;
}

bool Handoff::await(bool full, const std::atomic<bool>& stopping) {
  pthread_mutex_lock(&lock_);
  while (full_ != full && !stopping.load()) {
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += kLook;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&changed_, &lock_, &until);
  }
  const bool there = full_ == full;
  pthread_mutex_unlock(&lock_);
  return there;
}

void Handoff::fill(const std::string& failure) {
  snprintf(failure_, sizeof failure_, "%s", failure.c_str());
  set(true);
}

void Handoff::take() { set(false); }

void Handoff::set(bool full) {
  pthread_mutex_lock(&lock_);
  full_ = full;
  pthread_cond_signal(&changed_);
  pthread_mutex_unlock(&lock_);
}

void Handoff::end() {
  pthread_mutex_lock(&lock_);
  const bool last = --ends_ == 0;
  pthread_mutex_unlock(&lock_);
  if (!last) return;
  pthread_cond_destroy(&changed_);
  pthread_mutex_destroy(&lock_);
  free(data_);
  free(this);
}

} // namespace ao
