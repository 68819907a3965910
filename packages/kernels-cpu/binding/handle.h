// A stream as JavaScript holds it: an external value that owns the thread, the shared memory and the way back.
// It ends by close(), with its environment (a worker that is terminated, a process that exits), or by garbage collection;
// each joins the thread first and frees every block.
#pragma once
#include <memory>
#include <unordered_map>

#include "napi.h"
#include "stream.h"

namespace ao {

class Handle {
public:
  // Throws into JavaScript and returns null on failure. on_settled(id, failure) is called for each settled request.
  static napi_value create(napi_env env, int threads, const std::string& isa, bool check, napi_value on_settled);
  // The open handle behind a value; throws where it is closed or something else.
  static Handle* from(napi_env env, napi_value value);

  Stream* stream() { return stream_.get(); }
  void close();
  // While busy, the event loop stays alive for the stream's answers.
  void set_busy(bool busy);
  // Keeps a typed array's memory in place until its read has settled.
  Pin* pin(napi_value array, uint8_t* data);

private:
  explicit Handle(napi_env env) : env_(env) {}
  bool open(int threads, const std::string& isa, bool check, napi_value on_settled, napi_value result);
  static void settle(void* owner, const Settled& settled);
  static void call_javascript(napi_env env, napi_value function, void* context, void* data);
  static void on_environment_end(void* self);
  static void finalize(napi_env env, void* self, void* hint);

  napi_env env_;
  std::unique_ptr<Stream> stream_;
  napi_ref control_ = nullptr, ring_ = nullptr;
  napi_threadsafe_function answers_ = nullptr;
  std::unordered_map<Pin*, std::pair<std::unique_ptr<Pin>, napi_ref>> pins_;
};

} // namespace ao
