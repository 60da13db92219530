// What a model remembers of its requests and batches, so that a slow request can be explained afterwards.
#pragma once

#include <atomic>
#include <cstdint>

#include "flight/batch_log.h"
#include "flight/row_table.h"
#include "flight/slow_log.h"

namespace subten {

class FlightRecorder {
 public:
  bool initialise(uint32_t most_rows) noexcept {
    return batches.initialise() && rows.initialise(most_rows) && slow.initialise();
  }

  // Requests that take longer are kept; 0: those above the running 99th percentile; < 0: none, and no batch is written.
  // relaxed: a setting.
  void set_limit(int64_t nanoseconds) noexcept { limit_ns_.store(nanoseconds, std::memory_order_relaxed); }
  int64_t limit_ns() const noexcept { return limit_ns_.load(std::memory_order_relaxed); }

  BatchLog batches;
  RowTable rows;
  SlowLog slow;

 private:
  std::atomic<int64_t> limit_ns_{0};
};

}  // namespace subten
