#include "schedule/sim/arrivals.h"

namespace subten::sim {

Arrivals::Arrivals(const Options& options, uint64_t seed) noexcept
    : options_(&options), gaps_(seed, 1), rest_(seed, 2) {}

double Arrivals::gap() noexcept {
  const LoadOptions& load = options_->load;
  while (change_ < load.changes.size() && static_cast<double>(load.changes[change_].at_ns) <= at_)
    factor_ = load.changes[change_++].factor;
  const double mean = 1e9 / (load.rate * factor_);
  if (load.kind == LoadKind::kPoisson) return mean * gaps_.exponential();
  if (load.kind == LoadKind::kConstant) return mean;
  const double shape = 1 / (load.cv * load.cv);
  return mean * gaps_.gamma(shape) / shape;
}

bool Arrivals::next(Request* request) noexcept {
  const LoadOptions& load = options_->load;
  if (load.kind == LoadKind::kTrace) {
    if (index_ >= load.trace.size()) return false;
    at_ = static_cast<double>(load.trace[index_++]);
  } else {
    at_ += gap();
  }
  if (at_ >= static_cast<double>(load.warm_up_ns + load.duration_ns)) return false;
  *request = Request{};
  request->arrival_ns = static_cast<int64_t>(at_);
  request->counted = request->arrival_ns >= load.warm_up_ns;
  request->rows = load.rows_low == load.rows_high ? load.rows_low : rest_.whole(load.rows_low, load.rows_high);
  const double burnt =
      load.burnt_low + (load.burnt_high > load.burnt_low ? rest_.uniform() * (load.burnt_high - load.burnt_low) : 0);
  request->due_ns = request->arrival_ns + static_cast<int64_t>(static_cast<double>(options_->target_ns) * (1 - burnt));
  request->told_ns = load.budget_told ? request->due_ns : request->arrival_ns + options_->target_ns;
  request->hard = load.hard >= 1 || (load.hard > 0 && rest_.uniform() < load.hard);
  if (load.levels.size() > 1) {
    double sum = 0;
    for (const double share : load.levels) sum += share;
    double at = rest_.uniform() * sum;
    while (request->level < load.levels.size() && at >= load.levels[request->level - 1u])
      at -= load.levels[request->level++ - 1u];
  }
  return true;
}

}  // namespace subten::sim
