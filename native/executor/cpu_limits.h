// How many processors this process may use: affinity mask and cgroup quota, v2 cpu.max or v1 cpu.cfs_quota_us.
#pragma once

#include <cstdint>
#include <string>

namespace subten {

struct CpuLimits {
  uint32_t online = 1;
  uint32_t affinity = 1;
  double quota = 0;        // processors; 0: none
  uint64_t throttled = 0;  // nr_throttled of the cgroup, when it was read
  uint32_t used = 1;       // min(affinity, quota rounded up), at least 1
};

// `root` stands before /proc and /sys, for tests.
CpuLimits read_cpu_limits(const std::string& root = {});

}  // namespace subten
