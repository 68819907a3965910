// How many threads this process may keep busy: min(CPUs in the affinity mask, cgroup quota rounded down, cores), at
// least 1.
#pragma once
#include <string>

namespace ao {
// CPU quota of a cgroup tree in CPUs, 0 = none. `membership` is the text of /proc/self/cgroup, `root` the mount
// (/sys/fs/cgroup). Version 2 reads cpu.max, version 1 cpu.cfs_quota_us and cpu.cfs_period_us; parents count too.
double cgroup_quota(const std::string& membership, const std::string& root);
int default_threads();
// AO_NUM_THREADS: true with *threads set (0 = unset), false where the text is not an integer of 1..1024.
bool threads_from_environment(const char* text, int* threads);
} // namespace ao
