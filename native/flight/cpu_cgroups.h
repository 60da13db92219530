// The cgroups that limit this process's CPUs, of version 2 and 1.
#pragma once

#include <fstream>
#include <string>

namespace subten {

// Calls visit(directory, version) for every level between the process's cgroup and the root: a quota may stand at any
// of them. `root` stands before /proc and /sys, for tests.
template <typename Visit>
void each_cpu_cgroup(const std::string& root, Visit visit) {
  const auto each_level = [&](const std::string& mount, std::string group, int version) {
    for (;;) {
      visit(root + mount + (group == "/" ? "" : group), version);
      if (group.empty() || group == "/") return;
      const size_t slash = group.rfind('/');
      group = slash == 0 || slash == std::string::npos ? "/" : group.substr(0, slash);
    }
  };
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t colon = line.find(':');
    const size_t second = line.find(':', colon + 1);
    if (colon == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(colon + 1, second - colon - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      each_level("/sys/fs/cgroup", group, 2);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      each_level("/sys/fs/cgroup/cpu", group, 1);
    }
  }
}

}  // namespace subten
