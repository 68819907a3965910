// Run-time choice of the instruction set: AVX-512 needs F, BW, VL, DQ, VNNI, BF16 and VBMI; AVX2 needs FMA, F16C and BMI2. On
// arm64 NEON is always there; the kernel tells of the dot product and i8mm (int8 matrix multiplication) extensions.
#include "base/isa.h"

#include <stdio.h>
#include <string.h>

#include <string>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace ao {

bool isa_supported(ao_isa isa) {
#if defined(__x86_64__)
  if (isa == AO_ISA_PORTABLE) return true;
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
                    __builtin_cpu_supports("bmi2");
  if (isa == AO_ISA_AVX2) return avx2;
  return isa == AO_ISA_AVX512 && avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512vbmi");
#elif defined(__aarch64__)
  if (isa == AO_ISA_NEON) return true;
  const bool dotprod = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
  if (isa == AO_ISA_DOTPROD) return dotprod;
  return isa == AO_ISA_I8MM && dotprod && (getauxval(AT_HWCAP2) & HWCAP2_I8MM);
#else
  return isa == AO_ISA_PORTABLE;
#endif
}

bool choose_isa(const char* name, ao_isa* isa, char* err, size_t err_size) {
  if (!name || !*name) {
    for (const ao_isa candidate : kIsas)
      if (isa_supported(candidate)) *isa = candidate;
    return true;
  }
  std::string names;
  for (const ao_isa candidate : kIsas) {
    if (strcmp(name, ao_isa_name(candidate)) == 0) {
      *isa = candidate;
      if (isa_supported(candidate)) return true;
      snprintf(err, err_size,
               "instruction set '%s' is not supported by this machine; unset AO_ISA to use the best one it has", name);
      return false;
    }
    names += std::string(names.empty() ? "" : ", ") + ao_isa_name(candidate);
  }
  snprintf(err, err_size, "unknown instruction set '%s'; here AO_ISA takes one of %s", name, names.c_str());
  return false;
}

} // namespace ao

extern "C" const char* ao_isa_name(ao_isa isa) {
  switch (isa) {
  case AO_ISA_AVX2:
    return "avx2";
  case AO_ISA_AVX512:
    return "avx512";
  case AO_ISA_NEON:
    return "neon";
  case AO_ISA_DOTPROD:
    return "dotprod";
  case AO_ISA_I8MM:
    return "i8mm";
  default:
    return "portable";
  }
}
