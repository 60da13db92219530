// The requests of a load, one after another.
#pragma once

#include <cstdint>

#include "schedule/sim/options.h"
#include "schedule/sim/random.h"

namespace subten::sim {

struct Request {
  int64_t arrival_ns = 0;
  int64_t due_ns = 0;   // it is worth something until then
  int64_t told_ns = 0;  // what the scheduler takes for that
  uint32_t rows = 1;
  uint16_t level = 1;
  bool hard = true;     // it brought the deadline; else it follows from the target alone
  bool counted = true;  // it came after the warm-up
  bool probe = false;   // it was refused, and is followed all the same
};

class Arrivals {
 public:
  Arrivals(const Options& options, uint64_t seed) noexcept;
  // False when there are no more.
  bool next(Request* request) noexcept;

 private:
  double gap() noexcept;
  const Options* options_;
  Random gaps_, rest_;
  double at_ = 0;  // nanoseconds
  size_t index_ = 0, change_ = 0;
  double factor_ = 1;
};

}  // namespace subten::sim
