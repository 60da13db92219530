// For how long the cgroups of this process were out of CPU quota.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace subten {

class CgroupThrottle {
 public:
  // `root` stands before /proc and /sys, for tests.
  explicit CgroupThrottle(std::string root = {}) : root_(std::move(root)) {}
  CgroupThrottle(const CgroupThrottle&) = delete;
  CgroupThrottle& operator=(const CgroupThrottle&) = delete;
  ~CgroupThrottle() { close(); }

  // Looks anew in which cgroups the process is, version 2 and 1. Allocates.
  void find();
  // Microseconds in all, every level added up; 0 where there is no cgroup with a quota. Version 1 counts each
  // processor.
  int64_t throttled_us() const noexcept;

 private:
  void close() noexcept;

  std::string root_;
  std::vector<int> files_;  // cpu.stat of each level
};

}  // namespace subten
