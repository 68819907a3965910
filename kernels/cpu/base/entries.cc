// The table of kernels, made from exports.inc: fields in record order, and per kernel a function that unpacks a record
// of doubles into the argument struct. V(name, count) takes `count` consecutive doubles, every other field one.
// The hash is FNV-1a (64 bit) over the text "AO_FN(<name>, <fields>)\n" of all rows in order, where white space
// between tokens counts as one space (as the preprocessor's # does).
#include <stdio.h>

#include "ao/ao.h"
#include "base/records.h"

namespace {

#define IN(n) {#n, 'i', 1},
#define OUT(n) {#n, 'o', 1},
#define INOUT(n) {#n, 'b', 1},
#define I(n) {#n, 'n', 1},
#define F(n) {#n, 'f', 1},
#define V(n, count) {#n, 'v', count},
#define AO_FN(name, fields) const ao_field fields_##name[] = {fields};
#include "exports.inc"
#undef IN
#undef OUT
#undef INOUT
#undef I
#undef F
#undef V
#undef AO_FN

#define AO_FN(name, fields)                                                                                            \
  int run_##name(const double* p, ao_ctx* ctx) {                                                                       \
    const ao_##name##_args a = ao::name##_of(p);                                                                       \
    return AO_ROW(name)(&a, ctx);                                                                                      \
  }
#include "exports.inc"
#undef AO_FN

template <int count>
constexpr int record_length(const ao_field (&fields)[count]) {
  int length = 0;
  for (const ao_field& field : fields) length += field.count;
  return length;
}

#define AO_FN(name, fields)                                                                                            \
  {#name, fields_##name, static_cast<int>(sizeof fields_##name / sizeof(ao_field)), record_length(fields_##name),      \
   run_##name},
const ao_entry entries[] = {
#include "exports.inc"
};
#undef AO_FN

#define AO_FN(name, fields) "AO_FN(" #name ", " #fields ")\n"
const char rows[] =
#include "exports.inc"
    ;
#undef AO_FN

struct Hash {
  char text[17];
  Hash() {
    uint64_t hash = 0xcbf29ce484222325ull;
    for (const char* c = rows; *c; c++) hash = (hash ^ static_cast<unsigned char>(*c)) * 0x100000001b3ull;
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  }
};

} // namespace

extern "C" const ao_entry* AO_ROW(entries)(int* count) {
  *count = static_cast<int>(sizeof entries / sizeof entries[0]);
  return entries;
}

extern "C" const char* AO_ROW(abi_hash)(void) {
  static const Hash hash;
  return hash.text;
}
