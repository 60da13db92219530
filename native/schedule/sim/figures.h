// What came of a simulated load.
#pragma once

#include <cstdint>
#include <vector>

namespace subten::sim {

// Nanoseconds in buckets of 0.4 %.
class Latencies {
 public:
  void add(int64_t ns) noexcept;
  // Those that never got an answer: later than every other.
  void add_never() noexcept { ++never_, ++count_; }
  // 0 without samples, -1 where the quantile is one of those without an answer.
  int64_t quantile(double q) const noexcept;
  uint64_t count() const noexcept { return count_; }

 private:
  std::vector<uint32_t> buckets_;
  uint64_t count_ = 0, never_ = 0;
};

// Of the requests that came after the warm-up.
struct Figures {
  uint64_t offered = 0;
  uint64_t admitted = 0;
  uint64_t refused = 0;     // at the door: predicted to miss
  uint64_t queue_full = 0;  // at the door: no room
  uint64_t dropped = 0;     // admitted, then given up by the policy before its time was over
  uint64_t expired = 0;     // admitted, its time was over while it waited
  uint64_t late = 0;        // admitted, answered too late
  uint64_t good = 0;        // answered in time
  uint64_t probed = 0;      // refused, but followed
  uint64_t probed_good = 0;
  uint64_t batches = 0, rows = 0;  // dispatched, all of them
  int64_t busy_ns = 0;             // of all instances
  int64_t span_ns = 0;             // during which requests were counted
  uint64_t events = 0;
  uint64_t knowingly_late = 0;  // requests dispatched with a hard deadline nearer than the typical time of their size
  uint64_t out_of_order = 0;    // requests dispatched before one of their level that was due earlier and could make it
  uint32_t most_passed_by = 0;  // batches in a row that passed by a waiting priority level
  Latencies answered;           // from arrival to answer
  Latencies admitted_all;       // the same of all admitted; without an answer: never
  std::vector<uint32_t> offered_series, good_series;  // by the time of arrival, kWindowNs each, from the start
  static constexpr int64_t kWindowNs = 100'000'000;
};

}  // namespace subten::sim
