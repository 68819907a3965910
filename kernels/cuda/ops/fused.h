// Neighbouring commands of a plan that one kernel does. Each function says in `done` whether it took them; what each of them writes is written
// all the same, so that nobody else needs to know.
#pragma once
#include "base/ctx.h"

namespace ao {

int rope_append(ao_ctx* ctx, const ao_rope_args& key, const ao_rope_args& query, const ao_kv_append_args& keys,
                const ao_kv_append_args& values, bool* done);

} // namespace ao
