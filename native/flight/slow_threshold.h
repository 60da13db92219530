// What counts as slow: above the running 99th percentile of what this environment sees. One thread.
//
// One multiplication a request: up by a step for one that is above, down by a 99th of it for one that is not, so that
// in balance one in a hundred is above (stochastic approximation, Robbins and Monro 1951, on the logarithm).
#pragma once

#include <cstdint>

namespace subten {

class SlowThreshold {
 public:
  // Nothing faster is worth an explanation: what is watched beside a request is known to about a millisecond.
  static constexpr double kFloorNs = 100'000;

  // Whether it is slow; counts it.
  bool observe(int64_t nanoseconds) noexcept {
    const auto value = static_cast<double>(nanoseconds);
    if (seen_ == 0) at_ns_ = value;
    const double step = seen_ < kLearning ? 0.2 : 0.02;
    ++seen_;
    const bool above = value > at_ns_;
    at_ns_ *= above ? 1 + step * kShare : 1 - step * (1 - kShare);
    return above && value >= kFloorNs;
  }
  double at_ns() const noexcept { return at_ns_; }

 private:
  static constexpr double kShare = 0.99;
  static constexpr uint64_t kLearning = 256;
  double at_ns_ = 0;
  uint64_t seen_ = 0;
};

}  // namespace subten
