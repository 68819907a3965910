// AO_CUDA_PROFILE=FILE: the time of each kernel on the GPU but its first, added up by its name and sizes, written when the stream ends. Plans
// then run kernel by kernel, each waited for, so the whole is slower than the sum.
#pragma once
#include <cuda_runtime.h>

#include <map>
#include <string>

#include "ao/kernel.h"

namespace ao {

class Profile {
public:
  Profile();
  ~Profile();
  bool on() const { return !file_.empty(); }
  void begin(cudaStream_t stream);
  void end(cudaStream_t stream, const ao_entry& entry, const double* record);

private:
  struct Time {
    double milliseconds = 0;
    long calls = 0;
  };
  std::string file_;
  cudaEvent_t from_ = nullptr, to_ = nullptr;
  std::map<std::string, Time> times_;
};

} // namespace ao
