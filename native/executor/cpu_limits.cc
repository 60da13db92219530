#include "executor/cpu_limits.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "flight/cpu_cgroups.h"

namespace subten {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void take_quota(CpuLimits* limits, double quota, double period) {
  if (quota <= 0 || period <= 0) return;
  const double cpus = quota / period;
  if (limits->quota == 0 || cpus < limits->quota) limits->quota = cpus;
}

void take_throttled(CpuLimits* limits, const std::string& path) {
  std::ifstream file(path);
  std::string key;
  uint64_t value = 0;
  while (file >> key >> value) {
    if (key == "nr_throttled") limits->throttled = std::max(limits->throttled, value);
  }
}

void read_v2(CpuLimits* limits, const std::string& directory) {
  std::istringstream line(first_line(directory + "/cpu.max"));
  std::string quota;
  double period = 0;
  if (line >> quota >> period && quota != "max") take_quota(limits, std::atof(quota.c_str()), period);
  take_throttled(limits, directory + "/cpu.stat");
}

void read_v1(CpuLimits* limits, const std::string& directory) {
  take_quota(limits, std::atof(first_line(directory + "/cpu.cfs_quota_us").c_str()),
             std::atof(first_line(directory + "/cpu.cfs_period_us").c_str()));
  take_throttled(limits, directory + "/cpu.stat");
}

}  // namespace

CpuLimits read_cpu_limits(const std::string& root) {
  CpuLimits limits;
  limits.online = static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  cpu_set_t set;
  CPU_ZERO(&set);
  limits.affinity =
      ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<uint32_t>(CPU_COUNT(&set)) : limits.online;
  // Of the quotas at the levels the smallest one counts.
  each_cpu_cgroup(root, [&](const std::string& directory, int version) {
    version == 2 ? read_v2(&limits, directory) : read_v1(&limits, directory);
  });
  limits.used = limits.affinity;
  if (limits.quota > 0) limits.used = std::min(limits.used, static_cast<uint32_t>(std::ceil(limits.quota)));
  limits.used = std::max<uint32_t>(1, limits.used);
  return limits;
}

}  // namespace subten
