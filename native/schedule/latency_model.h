// How long a batch takes, learned from batches: for each size (rows) and class of shapes a typical and a high value.
//
// A cell keeps its last batches and takes order statistics of them: the median is typical, the 95th percentile is high.
// A window, and not an average, because one stall must not move anything (it is one of many), while a change that lasts
// must be followed soon: three batches of a new level are enough to raise the high value. Nothing is assumed of the
// shape of the curve over sizes but two bounds: a larger batch takes no less time, and a row no more in a larger batch
// than in a smaller one. A size that was never seen, or not since others have changed, takes the lower of what the next
// larger one takes and what the next smaller one does in proportion. Bounds that were looser (two runs of the largest
// for one row more) would keep such a size from ever being tried where time is short.
//
// Written under the leader token. The published values may be read by any thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace subten {

// How far an estimate can be trusted.
enum class Basis : uint8_t {
  kMeasured = 0,  // this size was seen
  kBetween,       // a larger size was seen: no longer than that
  kBeyond,        // only smaller ones were: in proportion to the largest
  kUnknown,       // nothing is known: 0
};

struct LatencyEstimate {
  int64_t typical_ns = 0;
  int64_t high_ns = 0;
  uint32_t samples = 0;
  Basis basis = Basis::kUnknown;
};

class LatencyModel {
 public:
  static constexpr uint32_t kWindow = 32;
  // A size is out of date when another was seen so many batches after it.
  static constexpr uint64_t kStale = 64;
  // Shapes that differ in size are told apart by the power of four of their elements a row.
  static constexpr uint32_t kShapeClasses = 8;

  // `classes`: 1 where all shapes are known, else kShapeClasses. False without memory.
  bool initialise(uint32_t batch_capacity, uint32_t classes) noexcept;

  void observe(uint32_t shape_class, uint32_t rows, int64_t latency_ns) noexcept;
  LatencyEstimate estimate(uint32_t shape_class, uint32_t rows) const noexcept;
  int64_t typical_ns(uint32_t shape_class, uint32_t rows) const noexcept {
    return published(shape_class, rows).typical;
  }
  int64_t high_ns(uint32_t shape_class, uint32_t rows) const noexcept { return published(shape_class, rows).high; }
  bool known(uint32_t shape_class) const noexcept { return high_ns(shape_class, 1) > 0; }

  // Rows a nanosecond of one instance at its best size, and that size. 0 while nothing is known.
  double best_rate(uint32_t shape_class) const noexcept;
  uint32_t best_rows(uint32_t shape_class) const noexcept;

  uint32_t classes() const noexcept { return classes_; }

  // What was learned as text, and back: read as a seed that a few real batches outweigh. Text that is none is ignored.
  std::string save() const;
  void seed(std::string_view text) noexcept;

  static uint32_t class_of(uint64_t elements_a_row) noexcept;

  // Calls `visit(shape_class, rows, estimate)` for every size that was seen.
  template <typename Visit>
  void each_measured(Visit visit) const {
    for (uint32_t shape = 0; shape < classes_; ++shape) {
      for (uint32_t cell = 0; cell < cells_; ++cell) {
        const uint32_t rows = std::min(rows_of(cell), capacity_);
        if (cell_at(shape, cell).count > 0) visit(shape, rows, estimate(shape, rows));
      }
    }
  }

 private:
  struct Cell {
    std::array<int32_t, kWindow> us_8{};  // eighths of a microsecond: 268 s at most
    uint32_t count = 0;                   // samples ever; the window holds the last kWindow
    uint64_t last = 0;                    // observations_ when it was seen last
    int64_t typical = 0;
    int64_t high = 0;
  };
  struct Published {
    std::atomic<int64_t> typical{0}, high{0};
  };
  struct Values {
    int64_t typical, high;
  };
  // What is known of a size, from its own batches or from those of another.
  struct Evidence {
    int64_t typical, high;
    uint64_t last;  // observations_ when it was seen
    bool firm;      // in enough batches
  };
  static bool outweighs(const Evidence& other, const Evidence& own) noexcept;
  // Sizes to 64 have a cell each, larger ones share: 16 to a doubling.
  static uint32_t cell_of(uint32_t rows) noexcept;
  static uint32_t rows_of(uint32_t cell) noexcept;  // the largest size of a cell
  const Cell& cell_at(uint32_t shape, uint32_t cell) const noexcept { return cell_values_[shape * cells_ + cell]; }
  void put(Cell* cell, int64_t latency_ns) noexcept;
  uint32_t seen_above(uint32_t shape, uint32_t cell) const noexcept;
  void publish(uint32_t shape) noexcept;
  Values published(uint32_t shape_class, uint32_t rows) const noexcept;

  uint32_t capacity_ = 1;
  uint32_t classes_ = 1;
  uint32_t cells_ = 1;
  uint64_t observations_ = 0;
  std::vector<Cell> cell_values_;
  std::vector<Published> published_;
  std::vector<Evidence> evidence_;  // of one class, while it is published
  std::vector<std::atomic<double>> best_rate_;
  std::vector<std::atomic<uint32_t>> best_rows_;
};

}  // namespace subten
