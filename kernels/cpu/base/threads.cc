#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace ao {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

// The quota of one folder in CPUs, 0 = none.
double folder_quota(const std::string& folder, bool v2) {
  std::string quota, period;
  if (v2) {
    std::istringstream fields(read_text(folder + "/cpu.max"));
    fields >> quota >> period;
  } else {
    std::istringstream(read_text(folder + "/cpu.cfs_quota_us")) >> quota;
    std::istringstream(read_text(folder + "/cpu.cfs_period_us")) >> period;
  }
  const double q = atof(quota.c_str()), p = atof(period.c_str());
  return q > 0 && p > 0 ? q / p : 0;
}

double smallest(double a, double b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

// The least quota from `path` up to the mount. Inside a container the path may not exist below the mount: its root then
// holds the container's own limit.
double walk(const std::string& mount, std::string path, bool v2) {
  double quota = folder_quota(mount, v2);
  while (path.size() > 1) {
    quota = smallest(quota, folder_quota(mount + path, v2));
    path.resize(path.find_last_of('/'));
  }
  return quota;
}

} // namespace

double cgroup_quota(const std::string& membership, const std::string& root) {
  double quota = 0;
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) { // "0::/path" or "4:cpu,cpuacct:/path"
    const size_t a = line.find(':'), b = a == std::string::npos ? a : line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1), path = line.substr(b + 1);
    if (controllers.empty()) {
      quota = smallest(quota, walk(root, path, true));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      quota = smallest(quota, walk(root + "/cpu", path, false));
      quota = smallest(quota, walk(root + "/" + controllers, path, false));
    }
  }
  return quota;
}

int default_threads() {
  int count = std::max(1u, std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) count = std::min(count, CPU_COUNT(&set));
  const double quota = cgroup_quota(read_text("/proc/self/cgroup"), "/sys/fs/cgroup");
  if (quota > 0) count = std::min(count, std::max(1, static_cast<int>(quota)));
#endif
  return count;
}

bool threads_from_environment(const char* text, int* threads) {
  *threads = 0;
  if (!text || !*text) return true;
  char* end = nullptr;
  errno = 0;
  const long value = strtol(text, &end, 10);
  if (errno || *end || value < 1 || value > 1024) return false;
  *threads = static_cast<int>(value);
  return true;
}

} // namespace ao
