// Codes of the row `collective`, and what the addresses of a process group are.
#pragma once

typedef enum ao_collective {
  AO_ALL_REDUCE = 0,
  AO_ALL_GATHER = 1,
  AO_REDUCE_SCATTER = 2,
  AO_BROADCAST = 3,
} ao_collective;

typedef enum ao_reduce { AO_SUM = 0, AO_AVG = 1, AO_MAX = 2, AO_MIN = 3 } ao_reduce;

enum { AO_GROUP_ADDRESS = 128 }; // bytes
