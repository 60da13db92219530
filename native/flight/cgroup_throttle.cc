#include "flight/cgroup_throttle.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace subten {

void CgroupThrottle::close() noexcept {
  for (const int file : files_) ::close(file);
  files_.clear();
}

// A quota may stand at any level between the process's cgroup and the root.
void CgroupThrottle::add(const std::string& mount, std::string group) {
  for (;;) {
    const std::string path = root_ + mount + (group == "/" ? "" : group) + "/cpu.stat";
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) files_.push_back(file);
    if (group.empty() || group == "/") return;
    const size_t slash = group.rfind('/');
    group = slash == 0 || slash == std::string::npos ? "/" : group.substr(0, slash);
  }
}

void CgroupThrottle::find() {
  close();
  std::ifstream groups(root_ + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t colon = line.find(':');
    const size_t second = line.find(':', colon + 1);
    if (colon == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(colon + 1, second - colon - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      add("/sys/fs/cgroup", group);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      add("/sys/fs/cgroup/cpu", group);
    }
  }
}

int64_t CgroupThrottle::throttled_us() const noexcept {
  int64_t sum = 0;
  for (const int file : files_) {
    std::array<char, 1024> text;
    const ssize_t length = ::pread(file, text.data(), text.size() - 1, 0);
    if (length <= 0) continue;
    text[static_cast<size_t>(length)] = 0;
    if (const char* at = std::strstr(text.data(), "throttled_usec ")) {
      sum += std::strtoll(at + std::strlen("throttled_usec "), nullptr, 10);
    } else if (const char* older = std::strstr(text.data(), "throttled_time ")) {  // version 1, nanoseconds
      sum += std::strtoll(older + std::strlen("throttled_time "), nullptr, 10) / 1000;
    }
  }
  return sum;
}

}  // namespace subten
