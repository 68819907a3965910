// The cuda addon: what the cpu's binding exports, on the stream of a GPU, and whether and on what CUDA can be used here.
#include <dlfcn.h>

#include "ao/cuda.h"
#include "base/probe.h"
#include "cuda_stream.h"
#include "handle.h"
#include "libraries/search.h"
#include "plugin.h"

namespace ao {

napi_value init(napi_env env, napi_value exports);

namespace {

// probe() -> { reason, driver, runtime, floor, devices: [json, ...] }; reason is empty where CUDA can be used
napi_value probe(napi_env env, napi_callback_info) {
  char text_of[512];
  int driver, runtime, devices;
  ao_cuda_probe(text_of, sizeof text_of, &driver, &runtime, &devices);
  napi_value result, list;
  napi_create_object(env, &result);
  napi_create_array(env, &list);
  set(env, result, "reason", text(env, text_of));
  set(env, result, "driver", number(env, driver));
  set(env, result, "runtime", number(env, runtime));
  set(env, result, "floor", number(env, driver_floor(runtime)));
  for (int i = 0; !*text_of && i < devices; i++) {
    char json[512];
    if (ao_cuda_describe(i, json, sizeof json) == 0)
      napi_set_element(env, list, static_cast<uint32_t>(i), text(env, json));
  }
  set(env, result, "devices", list);
  return result;
}

// libraries() -> [{ name, file, why }]: NVIDIA's libraries that kernels use where they are found; file is '' where one is not, and why says so
napi_value libraries(napi_env env, napi_callback_info) {
  const struct {
    const char* name;
    std::vector<int> majors;
  } known[] = {{"cublasLt", {13, 12}}, {"cusparseLt", {0}}, {"cudnn", {9}}, {"nccl", {2}}};
  napi_value list;
  napi_create_array(env, &list);
  uint32_t count = 0;
  for (const auto& [name, majors] : known) {
    const Opened opened = open_library(name, majors);
    napi_value item;
    napi_create_object(env, &item);
    set(env, item, "name", text(env, name));
    set(env, item, "file", text(env, opened.handle ? opened.file : std::string()));
    set(env, item, "why", text(env, opened.handle ? std::string() : opened.why));
    napi_set_element(env, list, count++, item);
    if (opened.handle) dlclose(opened.handle);
  }
  return list;
}

} // namespace

// Libraries of kernels run on the host.
const ao_entry* open_plugin(const char*, int*, std::string* why) {
  *why = "kernels of libraries run on cpu; move the tensor there";
  return nullptr;
}

std::unique_ptr<Stream> make_stream(uint32_t* control, double* ring, int device, const char*, bool check,
                                    Stream::Settle settle, void* owner, std::string* why) {
  char reason[1024] = "";
  ao_ctx* ctx = ao_ctx_create(device, "", reason, sizeof reason);
  *why = reason;
  if (!ctx) return nullptr;
  auto stream = std::make_unique<CudaStream>(control, ring, ctx, check, settle, owner);
  if (!stream->open(why)) return nullptr;
  return stream;
}

StreamFacts facts_of(const Stream& stream) {
  char json[512] = "{}";
  const int device = static_cast<const CudaStream&>(stream).device();
  ao_cuda_describe(device, json, sizeof json);
  size_t free = 0, total = 0;
  cudaSetDevice(device);
  cudaMemGetInfo(&free, &total);
  std::string facts = json;
  facts.insert(facts.size() - 1, (facts == "{}" ? "\"free\":" : ",\"free\":") + std::to_string(free));
  return {ao_ctx_threads(stream.ctx()), facts};
}

} // namespace ao

NAPI_MODULE_INIT() {
  napi_value value;
  if (napi_create_function(env, "probe", NAPI_AUTO_LENGTH, ao::probe, nullptr, &value) != napi_ok) return nullptr;
  ao::set(env, exports, "probe", value);
  if (napi_create_function(env, "libraries", NAPI_AUTO_LENGTH, ao::libraries, nullptr, &value) != napi_ok)
    return nullptr;
  ao::set(env, exports, "libraries", value);
  return ao::init(env, exports);
}
