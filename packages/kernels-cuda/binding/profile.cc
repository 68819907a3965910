#include "profile.h"

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <vector>

namespace ao {
namespace {

// The name and the integers of a record: sizes, strides, dtypes.
std::string key_of(const ao_entry& entry, const double* record) {
  std::string key = entry.name;
  for (int i = 0, at = 0; i < entry.field_count; at += entry.fields[i++].count)
    if (entry.fields[i].kind == 'n')
      key += " " + std::string(entry.fields[i].name) + "=" + std::to_string(static_cast<long long>(record[at]));
  return key;
}

} // namespace

Profile::Profile() {
  const char* file = getenv("AO_CUDA_PROFILE");
  if (file) file_ = file;
}

Profile::~Profile() {
  if (from_) cudaEventDestroy(from_), cudaEventDestroy(to_);
  if (!on() || times_.empty()) return;
  std::vector<std::pair<std::string, Time>> sorted(times_.begin(), times_.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.milliseconds > b.second.milliseconds; });
  FILE* out = fopen(file_.c_str(), "a");
  if (!out) return;
  for (const auto& [key, time] : sorted)
    if (time.calls > 1)
      fprintf(out, "%9.3f ms %6ld x %9.1f us  %s\n", time.milliseconds, time.calls - 1,
              1e3 * time.milliseconds / static_cast<double>(time.calls - 1), key.c_str());
  fprintf(out, "\n");
  fclose(out);
}

void Profile::begin(cudaStream_t stream) {
  if (!from_) {
    cudaEventCreateWithFlags(&from_, 0);
    cudaEventCreateWithFlags(&to_, 0);
  }
  cudaStreamSynchronize(stream);
  cudaEventRecord(from_, stream);
}

void Profile::end(cudaStream_t stream, const ao_entry& entry, const double* record) {
  cudaEventRecord(to_, stream);
  cudaEventSynchronize(to_);
  float milliseconds = 0;
  cudaEventElapsedTime(&milliseconds, from_, to_);
  Time& time = times_[key_of(entry, record)];
  if (time.calls++ > 0) time.milliseconds += static_cast<double>(milliseconds); // the first loads modules and libraries
}

} // namespace ao
