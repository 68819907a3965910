// Which commands of a plan go together (ops/fused.h).
#include "ops/fused.h"

#include <string.h>

#include "base/records.h"

extern "C" int ao_cuda_fused(const char* const* names, const double* const* records, int count, ao_ctx* ctx,
                             int* taken) {
  const auto begins = [&](std::initializer_list<const char*> pattern) {
    int i = 0;
    for (const char* name : pattern)
      if (i == count || strcmp(names[i++], name) != 0) return false;
    return true;
  };
  *taken = 0;
  bool done = false;
  if (begins({"rope", "rope", "kv_append", "kv_append"})) {
    if (ao::rope_append(ctx, ao::rope_of(records[0]), ao::rope_of(records[1]), ao::kv_append_of(records[2]),
                        ao::kv_append_of(records[3]), &done))
      return 1;
    if (done) *taken = 4;
  }
  return 0;
}
