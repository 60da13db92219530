#pragma once

#include <time.h>

#include <cstdint>

namespace subten {

// Nanoseconds of CLOCK_MONOTONIC: the one clock of deadlines, stages and futex timeouts.
inline int64_t monotonic_ns() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace subten
