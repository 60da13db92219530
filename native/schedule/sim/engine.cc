#include "schedule/sim/engine.h"

#include <algorithm>

namespace subten::sim {
namespace {

double of_table(const std::vector<std::pair<uint32_t, int64_t>>& table, uint32_t rows) {
  size_t above = 0;
  while (above < table.size() && table[above].first < rows) ++above;
  if (above == 0) return static_cast<double>(table[0].second);
  if (above == table.size() && table.size() == 1) return static_cast<double>(table[0].second) * rows / table[0].first;
  above = std::min(above, table.size() - 1);  // beyond the end the last slope goes on
  const auto [low_rows, low] = table[above - 1];
  const auto [high_rows, high] = table[above];
  return static_cast<double>(low) +
         static_cast<double>(high - low) * (static_cast<double>(rows) - low_rows) / (high_rows - low_rows);
}

}  // namespace

Engine::Engine(const EngineOptions& options, uint32_t max_batch, uint64_t seed)
    : options_(&options), profile_(max_batch + 1), random_(seed, 3) {
  for (uint32_t rows = 1; rows <= max_batch; ++rows) {
    const double ns = options.table.empty() ? static_cast<double>(options.base_ns + options.row_ns * rows)
                                            : of_table(options.table, rows);
    profile_[rows] = std::max<int64_t>(1, static_cast<int64_t>(ns));
  }
}

double Engine::best_rate() const noexcept {
  double best = 0;
  for (size_t rows = 1; rows < profile_.size(); ++rows)
    best = std::max(best, 1e9 * static_cast<double>(rows) / static_cast<double>(profile_[rows]));
  return best;
}

double Engine::speed() const noexcept {
  double speed = 0;
  for (uint32_t i = 0; i < options_->instances; ++i) speed += 1 / pace(i);
  return speed;
}

int64_t Engine::run(uint32_t instance, uint32_t rows, int64_t now_ns) noexcept {
  while (drift_ < options_->drifts.size() && options_->drifts[drift_].at_ns <= now_ns)
    factor_ = options_->drifts[drift_++].factor;
  double ns = static_cast<double>(profile_[rows]) * factor_ * pace(instance);
  if (options_->noise > 0) ns *= std::exp(options_->noise * random_.normal());
  if (stall_ < options_->stalls.size() && options_->stalls[stall_].at_ns <= now_ns)
    ns *= options_->stalls[stall_++].factor;
  return std::max<int64_t>(1, static_cast<int64_t>(ns));
}

}  // namespace subten::sim
