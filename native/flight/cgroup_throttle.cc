#include "flight/cgroup_throttle.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "flight/cpu_cgroups.h"

namespace subten {

void CgroupThrottle::close() noexcept {
  for (const int file : files_) ::close(file);
  files_.clear();
}

void CgroupThrottle::find() {
  close();
  each_cpu_cgroup(root_, [this](const std::string& directory, int) {
    const int file = ::open((directory + "/cpu.stat").c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) files_.push_back(file);
  });
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
