// Barriers in shared memory that count arrivals and bytes, and the copies whose bytes they count, started by one lane: sm_90's, where
// AO_BULK_COPIES says so. Waiting is for a phase, 0 or 1 by turns. Sources: PTX ISA, "mbarrier", "cp.async.bulk".
#pragma once
#include "base/mma.h"

namespace ao {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define AO_BULK_COPIES 1
#else
#define AO_BULK_COPIES 0
#endif

#if AO_BULK_COPIES
__device__ inline void mbarrier_init(uint32_t at, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(at), "r"(arrivals) : "memory");
}
__device__ inline void mbarrier_arrive(uint32_t at) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(at) : "memory");
}
__device__ inline void mbarrier_arrive_expecting(uint32_t at, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(bytes) : "memory");
}
__device__ inline void mbarrier_wait(uint32_t at, uint32_t phase) {
  asm volatile("{\n.reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again;\n}" ::"r"(at),
               "r"(phase)
               : "memory");
}
__device__ inline void copy_bulk(uint8_t* to, const uint8_t* from, int bytes, uint32_t mbarrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(from), "r"(bytes), "r"(mbarrier)
               : "memory");
}
#endif

} // namespace ao
