// What policies predict that take a model's latency for exact: by size the most of the last ten batches, before them
// what a profile says (Clockwork, section 5.3).
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "schedule/sim/engine.h"

namespace subten::sim {

class RecentMost {
 public:
  RecentMost(const Engine& engine, uint32_t max_batch) : cells_(max_batch + 1) {
    for (uint32_t rows = 1; rows <= max_batch; ++rows) {
      cells_[rows].last.fill(engine.profiled_ns(rows));
      cells_[rows].most = engine.profiled_ns(rows);
    }
  }
  int64_t operator()(uint32_t rows) const { return cells_[rows].most; }
  void observe(uint32_t rows, int64_t took) {
    Cell& cell = cells_[rows];
    cell.last[cell.count++ % kLast] = took;
    cell.most = *std::max_element(cell.last.begin(), cell.last.end());
  }

 private:
  static constexpr size_t kLast = 10;
  struct Cell {
    std::array<int64_t, kLast> last{};
    size_t count = 0;
    int64_t most = 0;
  };
  std::vector<Cell> cells_;
};

}  // namespace subten::sim
