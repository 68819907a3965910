// Where NVIDIA's libraries are looked for, and which versions are taken. Nothing is linked: what is not found is said, and own kernels do
// the work.
#pragma once
#include <string>
#include <vector>

namespace ao {

// Files to try in order for `soname` (libcublasLt.so.13): the folders of AO_CUDA_LIBRARY_PATH, of the toolkit (CUDA_HOME, CUDA_PATH,
// /usr/local/cuda), of Python's nvidia packages (under VIRTUAL_ENV, CONDA_PREFIX, the environment of
// the python3 on PATH, and `prefixes`), then the bare name for the system.
std::vector<std::string> library_candidates(const std::string& soname, const std::vector<std::string>& prefixes);

struct Opened {
  void* handle = nullptr;
  std::string file; // what was opened
  std::string why;  // why not, else
};

// The first of `majors` (newest first) that opens: lib<name>.so.<major>. A library of another major version, though it may be there, is
// refused by name.
Opened open_library(const std::string& name, const std::vector<int>& majors);

} // namespace ao
