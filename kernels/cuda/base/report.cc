#include "base/report.h"

#include <stdio.h>

namespace ao {

void describe(const Report& report, char* text, int size) {
  static const char* const kTexts[kReasons] = {
      "index %lld at position %lld is outside the %lld there are",
      "target %lld of row %lld is outside the %lld classes and is not ignore_index",
      "position %lld of token %lld is outside the tables of %lld positions; build longer tables",
      "%lld tokens at position %lld go beyond the cache's %lld positions; make a longer cache or start over",
      "%lld queries at position %lld do not fit %lld keys; make a longer cache or start over",
      "a logit of row %lld is NaN",
      "the history of row %lld is full: %lld ids",
      "lengths of row %lld are %lld and %lld, which the history does not hold",
      "id %lld of the history of row %lld is outside the vocabulary of %lld",
      "expert %lld of row %lld is outside the %lld experts",
      "the places of the blocks are wrong at %lld: %lld, of %lld",
      "row %lld of the weight has a code of more than %lld bits",
  };
  const auto number = [&](int i) { return static_cast<long long>(report.numbers[i]); };
  const char* format = report.reason < kReasons ? kTexts[report.reason] : "an unknown reason";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(text, static_cast<size_t>(size), format, number(0), number(1), number(2));
#pragma GCC diagnostic pop
}

} // namespace ao
