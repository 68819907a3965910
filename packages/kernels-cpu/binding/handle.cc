#include "handle.h"

#include <system_error>

namespace ao {
namespace {

constexpr napi_type_tag kTag = {0x616f2d6370752d73ull, 0x747265616d2d7631ull};

napi_value shared_array(napi_env env, size_t bytes, void** data, napi_ref* keep) {
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, bytes, data, &buffer) != napi_ok) return nullptr;
  return napi_create_reference(env, buffer, 1, keep) == napi_ok ? buffer : nullptr;
}

} // namespace

napi_value Handle::create(napi_env env, int threads, const std::string& isa, bool check, napi_value on_settled) {
  napi_value result, external;
  auto handle = std::unique_ptr<Handle>(new Handle(env));
  if (napi_create_object(env, &result) != napi_ok) return nullptr;
  if (!handle->open(threads, isa, check, on_settled, result)) {
    handle->close();
    return nullptr;
  }
  if (napi_create_external(env, handle.get(), finalize, nullptr, &external) != napi_ok) {
    handle->close();
    return throw_error(env, "ERR_AO_STREAM", "the stream's handle cannot be made");
  }
  handle.release(); // finalize owns it from here
  if (napi_type_tag_object(env, external, &kTag) != napi_ok)
    return throw_error(env, "ERR_AO_STREAM", "the stream's handle cannot be tagged");
  set(env, result, "handle", external);
  return result;
}

bool Handle::open(int threads, const std::string& isa, bool check, napi_value on_settled, napi_value result) {
  void *control, *ring;
  napi_value control_array = shared_array(env_, kControlWords * sizeof(uint32_t), &control, &control_);
  napi_value ring_array = control_array ? shared_array(env_, kRingDoubles * sizeof(double), &ring, &ring_) : nullptr;
  if (!ring_array) return throw_error(env_, "ERR_AO_MEMORY", "no memory for the stream's ring"), false;
  set(env_, result, "control", control_array);
  set(env_, result, "ring", ring_array);
  if (napi_create_threadsafe_function(env_, on_settled, nullptr, text(env_, "ao-stream"), 0, 1, nullptr, nullptr, this,
                                      call_javascript, &answers_) != napi_ok) {
    return throw_error(env_, "ERR_AO_STREAM", "the stream cannot reach the event loop"), false;
  }
  napi_unref_threadsafe_function(env_, answers_);
  std::string why;
  try {
    stream_ = make_stream(static_cast<uint32_t*>(control), static_cast<double*>(ring), threads, isa.c_str(), check,
                          settle, this, &why);
    if (!stream_) return throw_error(env_, "ERR_AO_CONFIG", why), false;
    const StreamFacts facts = facts_of(*stream_);
    set(env_, result, "threads", number(env_, facts.threads));
    set(env_, result, "isa", text(env_, facts.isa));
    stream_->start();
  } catch (const std::system_error& error) {
    stream_.reset();
    return throw_error(env_, "ERR_AO_STREAM", std::string("the stream's thread cannot start: ") + error.what()), false;
  }
  // Hooks run last in, first out: the thread is joined while the thread-safe function still stands.
  napi_add_env_cleanup_hook(env_, on_environment_end, this);
  return true;
}

Handle* Handle::from(napi_env env, napi_value value) {
  bool tagged = false;
  void* data = nullptr;
  if (napi_check_object_type_tag(env, value, &kTag, &tagged) != napi_ok || !tagged ||
      napi_get_value_external(env, value, &data) != napi_ok) {
    throw_error(env, "ERR_AO_STREAM", "the addon wants a stream here");
    return nullptr;
  }
  Handle* handle = static_cast<Handle*>(data);
  if (handle->stream_) return handle;
  throw_error(env, "ERR_AO_DISPOSED", "the stream is closed");
  return nullptr;
}

void Handle::close() {
  if (stream_) napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  if (stream_) stream_->stop();
  stream_.reset();
  for (auto& [pin, held] : pins_) napi_delete_reference(env_, held.second);
  pins_.clear();
  if (control_) napi_delete_reference(env_, control_);
  if (ring_) napi_delete_reference(env_, ring_);
  control_ = ring_ = nullptr;
  if (answers_) napi_release_threadsafe_function(answers_, napi_tsfn_abort);
  answers_ = nullptr;
}

void Handle::set_busy(bool busy) {
  if (busy) {
    napi_ref_threadsafe_function(env_, answers_);
  } else {
    napi_unref_threadsafe_function(env_, answers_);
  }
}

Pin* Handle::pin(napi_value array, uint8_t* data) {
  napi_ref keep;
  if (napi_create_reference(env_, array, 1, &keep) != napi_ok) return nullptr;
  auto pin = std::make_unique<Pin>(Pin{data});
  Pin* const key = pin.get();
  pins_.emplace(key, std::make_pair(std::move(pin), keep));
  return key;
}

void Handle::settle(void* owner, const Settled& settled) {
  auto* message = new Settled(settled);
  if (napi_call_threadsafe_function(static_cast<Handle*>(owner)->answers_, message, napi_tsfn_nonblocking) != napi_ok)
    delete message;
}

void Handle::call_javascript(napi_env env, napi_value function, void* context, void* data) {
  const std::unique_ptr<Settled> settled(static_cast<Settled*>(data));
  if (!env || !function) return;
  Handle* self = static_cast<Handle*>(context);
  if (const auto held = self->pins_.find(static_cast<Pin*>(settled->pin)); held != self->pins_.end()) {
    napi_delete_reference(env, held->second.second);
    self->pins_.erase(held);
  }
  napi_value nothing, arguments[2] = {number(env, settled->id), number(env, settled->failure)};
  napi_get_undefined(env, &nothing);
  napi_call_function(env, nothing, function, 2, arguments, nullptr);
}

void Handle::on_environment_end(void* self) { static_cast<Handle*>(self)->close(); }

void Handle::finalize(napi_env, void* self, void*) {
  static_cast<Handle*>(self)->close();
  delete static_cast<Handle*>(self);
}

} // namespace ao
