// Batches by their number of rows: how many there were, and what one usually takes.
//
// "Usually" is a running median, kept in one number by steps towards what is seen (after "Frugal Streaming for
// Estimating Quantiles", Ma, Muthukrishnan and Sandler, 2013; steps are a share of the value instead of one unit).
// Instances may overwrite each other's step: it is an estimate.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "memory/mapped_array.h"

namespace subten {

class RowTable {
 public:
  // Batches of more rows are counted with those of the most.
  static constexpr uint32_t kMostRows = 1u << 16;

  bool initialise(uint32_t most_rows) noexcept { return places_.map(std::min(most_rows, kMostRows) + size_t{1}); }
  uint32_t most_rows() const noexcept { return static_cast<uint32_t>(places_.size()) - 1; }

  // relaxed throughout: counts and an estimate, no other data hangs on them.
  void add(uint32_t rows, int64_t nanoseconds) noexcept {
    Place& place = at(rows);
    const uint64_t before = place.count.fetch_add(1, std::memory_order_relaxed);
    const int64_t usual = place.usual_ns.load(std::memory_order_relaxed);
    if (usual == 0) {
      place.usual_ns.store(std::max<int64_t>(1, nanoseconds), std::memory_order_relaxed);
      return;
    }
    const int64_t step = std::max<int64_t>(1, usual >> (before < kLearning ? 3 : 6));
    const int64_t next =
        nanoseconds > usual ? std::min(usual + step, nanoseconds) : std::max(usual - step, nanoseconds);
    place.usual_ns.store(std::max<int64_t>(1, next), std::memory_order_relaxed);
  }

  uint64_t count(uint32_t rows) const noexcept { return at(rows).count.load(std::memory_order_relaxed); }

  // 0: too few batches of about that size were seen. Where only smaller or larger ones are known, those.
  int64_t usual_ns(uint32_t rows) const noexcept {
    const uint32_t wanted = std::min(rows, most_rows());
    for (uint32_t away = 0; away <= kNear; ++away) {
      for (const int64_t row : {int64_t{wanted} - away, int64_t{wanted} + away}) {
        if (row < 1 || row > int64_t{most_rows()}) continue;
        const Place& place = at(static_cast<uint32_t>(row));
        if (place.count.load(std::memory_order_relaxed) < kKnown) continue;
        return place.usual_ns.load(std::memory_order_relaxed);
      }
    }
    return 0;
  }

  void reset_counts() noexcept {
    for (uint32_t rows = 0; rows < places_.size(); ++rows) places_[rows].count.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr uint64_t kLearning = 64;
  static constexpr uint64_t kKnown = 5;
  static constexpr uint32_t kNear = 8;
  struct Place {
    std::atomic<uint64_t> count;
    std::atomic<int64_t> usual_ns;
  };
  Place& at(uint32_t rows) const noexcept { return places_[std::min(rows, most_rows())]; }
  MappedArray<Place> places_;
};

}  // namespace subten
