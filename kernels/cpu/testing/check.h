// The test harness of the kernels. A file of tests is
//   TEST(name) { CHECK(condition); CHECK_EQ(a, b); CHECK_NEAR(value, expected, tolerance); }
//   AO_TEST_MAIN()
// Each executable prints the instruction set that its contexts chose and fails where that is not the one AO_ISA asks
// for. It ends with the line "N passed, N failed" and exits 0, 1, or 77 (skipped, with the reason) where AO_ISA names a
// set that this machine lacks. Random tests take their seed from AO_SEED, else the clock, and print it.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>
#include <string>
#include <vector>

#include "ao/ao.h"
#include "base/dtype.h"
#include "base/isa.h"

namespace ao_test {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> list;
  return list;
}

inline int& failures() { // of the test that runs
  static int count = 0;
  return count;
}

inline bool add(const char* name, void (*run)()) {
  tests().push_back({name, run});
  return true;
}

inline void report(const char* file, int line, const std::string& what) {
  if (++failures() <= 8) fprintf(stderr, "  %s:%d: %s\n", file, line, what.c_str());
}

inline std::string show(double v) {
  char s[64];
  snprintf(s, sizeof s, "%.9g", v);
  return s;
}
inline std::string show(const std::string& v) { return "'" + v + "'"; }
inline std::string show(const char* v) { return v ? show(std::string(v)) : "null"; }

// Distance of two floats in steps between neighbours; equal NaNs are 0 apart, NaN and a number very far.
inline double ulps(float a, float b) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b) ? 0 : INFINITY;
  const auto order = [](float x) {
    const int32_t i = (int32_t)ao_bits(x);
    return i < 0 ? (int64_t)INT32_MIN - i : (int64_t)i;
  };
  return fabs((double)(order(a) - order(b)));
}

// Distance of a float32 value from an exact double, in units of float32's last place at that magnitude.
inline double ulps_from(float a, double exact) {
  if (isnan(a) || isnan(exact)) return isnan(a) && isnan(exact) ? 0 : INFINITY;
  if (isinf(a) || fabs(exact) > 3.4028235677973366e38) return (double)a == (double)(float)exact ? 0 : INFINITY;
  int e;
  frexp(exact, &e);
  return fabs((double)a - exact) / ldexp(1.0, (e < -125 ? -125 : e) - 24);
}

// splitmix64; uniform() in [0, 1), normal() by sums of uniforms is enough for test data.
struct Random {
  uint64_t state;
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  double uniform() { return (double)(next() >> 11) * 0x1p-53; }
  float range(double low, double high) { return (float)(low + (high - low) * uniform()); }
  int64_t below(int64_t n) { return (int64_t)(next() % (uint64_t)n); }
  float normal() {
    double s = 0;
    for (int i = 0; i < 12; i++) s += uniform();
    return (float)(s - 6);
  }
};

inline uint64_t seed() {
  static const uint64_t value = [] {
    const char* text = getenv("AO_SEED");
    const uint64_t s = text && *text
                           ? strtoull(text, nullptr, 10)
                           : (uint64_t)std::chrono::steady_clock::now().time_since_epoch().count() % 1000000007u;
    printf("seed %llu (set AO_SEED to repeat)\n", (unsigned long long)s);
    return s;
  }();
  return value;
}

// The cases of a long test. Where AO_TEST_EVERY is n, for emulators and sanitizers, only every n-th runs, and that is printed.
template <class T>
std::vector<T> thinned(const std::vector<T>& cases) {
  const char* text = getenv("AO_TEST_EVERY");
  const size_t every = text && atoi(text) > 1 ? atoi(text) : 1;
  std::vector<T> some;
  for (size_t i = 0; i < cases.size(); i += every) some.push_back(cases[i]);
  if (every > 1) printf("%zu of %zu cases (AO_TEST_EVERY=%zu)\n", some.size(), cases.size(), every);
  return some;
}

// A buffer as the runtime gives them: 64-byte aligned, 64 readable bytes behind. Those, and as many in front, hold a
// mark, so that ok() tells whether a kernel wrote outside.
template <class T>
class Buffer {
public:
  explicit Buffer(int64_t n, T value = T()) : n_(n), bytes_(((size_t)n * sizeof(T) + 64 + 127) / 64 * 64) {
    base_ = (unsigned char*)aligned_alloc(64, bytes_);
    memset(base_, 0xa5, bytes_);
    for (int64_t i = 0; i < n; i++) data()[i] = value;
  }
  explicit Buffer(const std::vector<T>& v) : Buffer((int64_t)v.size()) {
    for (int64_t i = 0; i < n_; i++) data()[i] = v[i];
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : n_(other.n_), bytes_(other.bytes_), base_(other.base_) { other.base_ = nullptr; }
  ~Buffer() { free(base_); }
  T* data() { return (T*)base_; }
  const T* data() const { return (const T*)base_; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  int64_t size() const { return n_; }
  bool ok() const {
    for (size_t i = (size_t)n_ * sizeof(T); i < bytes_; i++)
      if (base_[i] != 0xa5) return false;
    return true;
  }

private:
  int64_t n_;
  size_t bytes_;
  unsigned char* base_;
};

// Values of a float dtype in a raw buffer.
inline double decode(int64_t dtype, const void* p, int64_t i) {
  switch (dtype) {
  case AO_F32:
    return ((const float*)p)[i];
  case AO_F16:
    return ao_from_f16(((const uint16_t*)p)[i]);
  case AO_BF16:
    return ao_from_bf16(((const uint16_t*)p)[i]);
  case AO_F8E4M3:
    return ao_from_f8e4m3(((const uint8_t*)p)[i]);
  case AO_F8E5M2:
    return ao_from_f8e5m2(((const uint8_t*)p)[i]);
  case AO_F8E8M0:
    return ao_from_f8e8m0(((const uint8_t*)p)[i]);
  case AO_I8:
    return ((const int8_t*)p)[i];
  case AO_U8:
  case AO_BOOL:
    return ((const uint8_t*)p)[i];
  case AO_I32:
    return ((const int32_t*)p)[i];
  default:
    return (double)((const int64_t*)p)[i];
  }
}

inline void encode(int64_t dtype, void* p, int64_t i, double value) {
  switch (dtype) {
  case AO_F32:
    ((float*)p)[i] = (float)value;
    break;
  case AO_F16:
    ((uint16_t*)p)[i] = ao_to_f16((float)value);
    break;
  case AO_BF16:
    ((uint16_t*)p)[i] = ao_to_bf16((float)value);
    break;
  case AO_F8E4M3:
    ((uint8_t*)p)[i] = ao_to_f8e4m3((float)value);
    break;
  case AO_F8E5M2:
    ((uint8_t*)p)[i] = ao_to_f8e5m2((float)value);
    break;
  case AO_I8:
    ((int8_t*)p)[i] = (int8_t)value;
    break;
  case AO_U8:
  case AO_BOOL:
    ((uint8_t*)p)[i] = (uint8_t)value;
    break;
  case AO_I32:
    ((int32_t*)p)[i] = (int32_t)value;
    break;
  default:
    ((int64_t*)p)[i] = (int64_t)value;
    break;
  }
}

// Half a step of the dtype relative to a value: what one rounding on store may cost.
inline double half_step(int64_t dtype) { return dtype == AO_F16 ? 0x1p-11 : dtype == AO_BF16 ? 0x1p-8 : 0x1p-24; }

// The context of this executable's tests, made from AO_ISA with `threads` members.
inline ao_ctx* context(int threads = 0) {
  char err[256] = "";
  ao_ctx* ctx = ao_ctx_create(threads, nullptr, err, sizeof err);
  if (!ctx) {
    fprintf(stderr, "no context: %s\n", err);
    exit(1);
  }
  return ctx;
}

struct Context {
  ao_ctx* ctx;
  explicit Context(int threads = 0) : ctx(context(threads)) {}
  ~Context() { ao_ctx_destroy(ctx); }
  Context(const Context&) = delete;
  operator ao_ctx*() const { return ctx; }
};

inline int main_(int argc, char** argv) {
  const char* wanted = getenv("AO_ISA");
  for (const ao_isa isa : ao::kIsas) {
    if (wanted && strcmp(wanted, ao_isa_name(isa)) == 0 && !ao::isa_supported(isa)) {
      printf("skipped: this machine does not support %s\n0 passed, 0 failed\n", wanted);
      return 77;
    }
  }
  const char* chosen = ao_isa_name(ao_ctx_isa(Context(1)));
  printf("instruction set %s\n", chosen);
  int passed = 0, failed = 0;
  if (wanted && *wanted && strcmp(wanted, chosen) != 0) {
    report(__FILE__, __LINE__, std::string("AO_ISA asks for ") + wanted);
    failed++;
  }
  for (const Test& test : tests()) {
    if (argc > 1 && !strstr(test.name, argv[1])) continue;
    failures() = 0;
    test.run();
    printf("%s %s\n", failures() ? "FAIL" : "ok  ", test.name);
    if (failures())
      failed++;
    else
      passed++;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}

} // namespace ao_test

#define TEST(name)                                                                                                     \
  static void test_##name();                                                                                           \
  static const bool added_##name = ao_test::add(#name, test_##name);                                                   \
  static void test_##name()
#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) ao_test::report(__FILE__, __LINE__, #condition);                                                 \
  } while (0)
#define CHECK_MSG(condition, ...)                                                                                      \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      char ao_text[512];                                                                                               \
      snprintf(ao_text, sizeof ao_text, __VA_ARGS__);                                                                  \
      ao_test::report(__FILE__, __LINE__, std::string(#condition) + ": " + ao_text);                                   \
    }                                                                                                                  \
  } while (0)
#define CHECK_EQ(a, b)                                                                                                 \
  do {                                                                                                                 \
    const auto& ao_a = (a);                                                                                            \
    const auto& ao_b = (b);                                                                                            \
    if (!(ao_a == ao_b))                                                                                               \
      ao_test::report(__FILE__, __LINE__,                                                                              \
                      std::string(#a " == " #b ": ") + ao_test::show(ao_a) + " against " + ao_test::show(ao_b));       \
  } while (0)
#define CHECK_NEAR(a, b, tolerance)                                                                                    \
  do {                                                                                                                 \
    const double ao_a = (a), ao_b = (b), ao_t = (tolerance);                                                           \
    if (!(fabs(ao_a - ao_b) <= ao_t) && !(ao_a == ao_b) && !(isnan(ao_a) && isnan(ao_b)))                              \
      ao_test::report(__FILE__, __LINE__,                                                                              \
                      std::string(#a ": ") + ao_test::show(ao_a) + " against " + ao_test::show(ao_b) + " within " +    \
                          ao_test::show(ao_t));                                                                        \
  } while (0)
#define AO_TEST_MAIN()                                                                                                 \
  int main(int argc, char** argv) { return ao_test::main_(argc, argv); }
