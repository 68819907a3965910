#include "plugin.h"

#include <dlfcn.h>
#include <string.h>

#include "ao/plugin.h"

namespace ao {
namespace {

void fail(ao_ctx* ctx, const char* reason) { ao_fail(ctx, "%s", reason); }

const ao_host host = {sizeof(ao_host), ao_ctx_threads, ao_parallel_for, ao_scratch, fail};

bool well_described(const ao_entry& entry) {
  if (!entry.name || !entry.run || entry.field_count < 0 || (entry.field_count > 0 && !entry.fields)) return false;
  int length = 0;
  for (int i = 0; i < entry.field_count; i++) {
    const ao_field& field = entry.fields[i];
    if (!field.name || !field.kind || !strchr("iobnfv", field.kind)) return false;
    if (field.count < 1 || (field.kind != 'v' && field.count != 1)) return false;
    length += field.count;
  }
  return length == entry.record_length;
}

} // namespace

const ao_entry* open_plugin(const char* path, int* count, std::string* why) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *why = dlerror();
    return nullptr;
  }
  const auto open = reinterpret_cast<ao_plugin_open_fn>(dlsym(library, AO_PLUGIN_OPEN));
  const ao_entry* entries = open ? open(&host, count) : nullptr;
  if (!entries) *why = "it has no " AO_PLUGIN_OPEN "; end the source with AO_PLUGIN(entries) of ao/plugin.h";
  for (int i = 0; entries && i < *count; i++) {
    if (well_described(entries[i])) continue;
    *why = "kernel " + std::to_string(i) +
           " is badly described: name, run and fields are needed, and record_length is the sum of the counts";
    return nullptr;
  }
  return entries;
}

} // namespace ao
