#include "executor/cpu_limits.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

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

// A quota may stand at any level between the process's cgroup and the root: the smallest one counts.
template <typename Visit>
void each_level(const std::string& mount, std::string group, Visit visit) {
  for (;;) {
    visit(mount + (group == "/" ? "" : group));
    if (group.empty() || group == "/") return;
    const size_t slash = group.rfind('/');
    group = slash == 0 || slash == std::string::npos ? "/" : group.substr(0, slash);
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
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t colon = line.find(':');
    const size_t second = line.find(':', colon + 1);
    if (colon == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(colon + 1, second - colon - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      each_level(root + "/sys/fs/cgroup", group, [&](const std::string& directory) { read_v2(&limits, directory); });
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      each_level(root + "/sys/fs/cgroup/cpu", group,
                 [&](const std::string& directory) { read_v1(&limits, directory); });
    }
  }
  limits.used = limits.affinity;
  if (limits.quota > 0) limits.used = std::min(limits.used, static_cast<uint32_t>(std::ceil(limits.quota)));
  limits.used = std::max<uint32_t>(1, limits.used);
  return limits;
}

}  // namespace subten
