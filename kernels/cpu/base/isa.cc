// Run-time choice of the instruction set: AVX-512 needs F, BW, VL, DQ, VNNI and BF16; AVX2 needs FMA, F16C and BMI2.
#include "base/isa.h"

#include <stdio.h>
#include <string.h>

namespace ao {

bool isa_supported(ao_isa isa) {
  if (isa == AO_ISA_PORTABLE) return true;
#if defined(AO_HAVE_AVX2)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
                    __builtin_cpu_supports("bmi2");
  if (isa == AO_ISA_AVX2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool choose_isa(const char* name, ao_isa* isa, char* err, size_t err_size) {
  if (!name || !*name) {
    *isa = isa_supported(AO_ISA_AVX512) ? AO_ISA_AVX512 : isa_supported(AO_ISA_AVX2) ? AO_ISA_AVX2 : AO_ISA_PORTABLE;
    return true;
  }
  for (int i = AO_ISA_PORTABLE; i <= AO_ISA_AVX512; i++) {
    const ao_isa candidate = static_cast<ao_isa>(i);
    if (strcmp(name, ao_isa_name(candidate)) != 0) continue;
    if (!isa_supported(candidate)) {
      snprintf(err, err_size,
               "instruction set '%s' is not supported by this machine; unset AO_ISA to use the best one it has", name);
      return false;
    }
    *isa = candidate;
    return true;
  }
  snprintf(err, err_size, "unknown instruction set '%s'; AO_ISA takes portable, avx2 or avx512", name);
  return false;
}

} // namespace ao

extern "C" const char* ao_isa_name(ao_isa isa) {
  return isa == AO_ISA_AVX512 ? "avx512" : isa == AO_ISA_AVX2 ? "avx2" : "portable";
}
