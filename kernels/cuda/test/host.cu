// What needs no GPU: where libraries are looked for and which versions are taken, what is said without a driver, and where the codes of a
// packed row lie.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/probe.h"
#include "base/weight.h"
#include "libraries/search.h"

namespace {

int passed = 0, failed = 0;

void expect(bool good, const char* what) {
  (good ? passed : failed)++;
  if (!good) printf("FAILED: %s\n", what);
}

void touch(const std::string& file) {
  if (FILE* f = fopen(file.c_str(), "w")) fclose(f);
}

void remove_all(const std::string& folder) { std::filesystem::remove_all(folder); }

void search_order() {
  const char* temporary = getenv("TMPDIR");
  std::string base = std::string(temporary ? temporary : ".") + "/ao-cuda-XXXXXX";
  if (!mkdtemp(base.data())) return expect(false, "a temporary folder");
  for (const char* folder :
       {"/own", "/toolkit", "/toolkit/lib64", "/env", "/env/lib", "/env/lib/python3.12",
        "/env/lib/python3.12/site-packages", "/env/lib/python3.12/site-packages/nvidia",
        "/env/lib/python3.12/site-packages/nvidia/cublas", "/env/lib/python3.12/site-packages/nvidia/cublas/lib"})
    mkdir((base + folder).c_str(), 0700);
  const std::string files[] = {base + "/own/libx.so.13", base + "/toolkit/lib64/libx.so.13",
                               base + "/env/lib/python3.12/site-packages/nvidia/cublas/lib/libx.so.13"};
  for (const std::string& file : files) touch(file);
  setenv("AO_CUDA_LIBRARY_PATH", (base + "/own:/nowhere").c_str(), 1);
  setenv("CUDA_HOME", (base + "/toolkit").c_str(), 1);
  setenv("VIRTUAL_ENV", (base + "/env").c_str(), 1);
  const auto found = ao::library_candidates("libx.so.13", {});
  expect(found.size() == 4 && found[0] == files[0] && found[1] == files[1] && found[2] == files[2] &&
             found[3] == "libx.so.13",
         "own folder, toolkit, Python's packages, system");
  const std::string path = getenv("PATH") ? getenv("PATH") : "";
  mkdir((base + "/env/bin").c_str(), 0700);
  touch(base + "/env/pyvenv.cfg"), touch(base + "/env/bin/python3");
  chmod((base + "/env/bin/python3").c_str(), 0700);
  setenv("PATH", (base + "/env/bin").c_str(), 1);
  unsetenv("VIRTUAL_ENV");
  const auto by_path = ao::library_candidates("libx.so.13", {});
  expect(by_path.size() == 4 &&
             by_path[2] == base + "/env/bin/../lib/python3.12/site-packages/nvidia/cublas/lib/libx.so.13",
         "the environment of the python3 on PATH");
  setenv("PATH", path.c_str(), 1);
  touch(base + "/own/libx.so.99");
  const ao::Opened opened = ao::open_library("x", {13, 12});
  remove_all(base);
  expect(!opened.handle && opened.why.find("libx.so.13, libx.so.12") != std::string::npos &&
             opened.why.find("AO_CUDA_LIBRARY_PATH") != std::string::npos,
         "another major version is not taken");
}

void no_driver() {
  char text[512];
  ao::why_no_cuda(35, 0, 13000, text, sizeof text);
  expect(strstr(text, "no NVIDIA driver") && strstr(text, "580"), "no driver");
  ao::why_no_cuda(35, 12080, 13000, text, sizeof text);
  expect(strstr(text, "too old") && strstr(text, "CUDA 12.8") && strstr(text, "580"), "an old driver");
  ao::why_no_cuda(100, 13000, 13000, text, sizeof text);
  expect(strstr(text, "sees no GPU"), "no GPU");
  ao::why_no_cuda(0, 13020, 13000, text, sizeof text);
  expect(!*text, "all is well");
}

void places() {
  for (int bits = 1; bits <= 8; bits++) {
    std::set<int> seen;
    bool inside = true;
    for (int row = 0; row < ao::kTileRows; row++)
      for (int column = 0; column < ao::kTileColumns; column++) {
        const ao::Place p = ao::place_of(row, column);
        ao::each_plane(bits, [&](int width, int, int at) {
          const int q = p.pair * width;
          for (int bit = 0; bit < width; bit++) {
            const int place = (at + ao::word_at(width, p.lane, q / 16)) * 8 + q % 16 + 16 * p.second + bit;
            inside = inside && place >= 0 && place < 128 * bits * 8;
            seen.insert(place);
          }
        });
      }
    expect(inside && static_cast<int>(seen.size()) == 1024 * bits, "each bit of a tile has a place of its own");
  }
}

} // namespace

int main() {
  search_order();
  no_driver();
  places();
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
