// The cpu addon: its stream is the host's own.
#include "ao/ao.h"
#include "handle.h"

namespace ao {

napi_value init(napi_env env, napi_value exports);

std::unique_ptr<Stream> make_stream(uint32_t* control, double* ring, int threads, const char* isa, bool check,
                                    Stream::Settle settle, void* owner, std::string* why) {
  char reason[512] = "";
  ao_ctx* ctx = ao_ctx_create(threads, isa, reason, sizeof reason);
  if (ctx) return std::make_unique<Stream>(control, ring, ctx, check, settle, owner);
  *why = reason;
  return nullptr;
}

StreamFacts facts_of(const Stream& stream) {
  return {ao_ctx_threads(stream.ctx()), ao_isa_name(ao_ctx_isa(stream.ctx()))};
}

} // namespace ao

NAPI_MODULE_INIT() { return ao::init(env, exports); }
