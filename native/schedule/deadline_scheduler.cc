#include "schedule/deadline_scheduler.h"

#include <algorithm>
#include <cmath>

namespace subten {
namespace {

// Of the admitted, so many may miss: half of what a 99th percentile leaves.
constexpr double kMissed = 0.005;
// What a miss adds to the margin, in times of a full batch a row; and the most that it can be, in targets.
constexpr double kMarginStep = 0.5;
constexpr double kMostMargin = 0.25;
// From this share of refused requests on, batches wait for company although that makes them later.
constexpr double kScarce = 0.01;

}  // namespace

bool DeadlineScheduler::initialise(uint32_t shape_classes, std::string_view seed) noexcept {
  try {
    slots_.reserve(window_requests());
    candidates_.reserve(window_requests());
    passed_by_.assign(settings_->levels.size() + 1, 0);
    level_rates_.assign(Admission::kLevels + 1, 0);
    level_rows_.assign(Admission::kLevels + 1, 0);
  } catch (...) {
    return false;
  }
  rate_window_ns_ = std::clamp(5.0 * static_cast<double>(settings_->slo.target_ns), 2e7, 5e8);
  const uint32_t capacity = settings_->dynamic ? settings_->batch_capacity() : 1;
  policy_ = DeadlinePolicy(capacity, &latency_);
  fill_ = capacity;
  if (!latency_.initialise(settings_->batch_capacity(), shape_classes)) return false;
  latency_.seed(seed);
  return admission_.initialise(settings_->slo.target_ns, capacity, instances_, &latency_);
}

void DeadlineScheduler::arrived(uint32_t rows, int64_t now_ns) noexcept {
  rate_ = arrival_rate(now_ns) + rows / rate_window_ns_;
  rate_ns_ = now_ns;
}

double DeadlineScheduler::arrival_rate(int64_t now_ns) const noexcept {
  return rate_ * std::exp(-static_cast<double>(now_ns - rate_ns_) / rate_window_ns_);
}

// The level that has been passed by most often, from so many times on that all that may wait as long get their turn,
// one after another, within the bound.
uint32_t DeadlineScheduler::lead_level(const RequestQueue& queue) const noexcept {
  if (queue.levels() == 1) return 0;
  uint32_t lead = 0;
  uint32_t most = kPassedBy - std::min(kPassedBy - 1, queue.levels() - 2) - 1;
  for (uint32_t level = 2; level <= queue.levels(); ++level) {
    if (passed_by_[level] <= most || queue.first_of(level) == kNoSlot) continue;
    most = passed_by_[level];
    lead = level;
  }
  return lead;
}

void DeadlineScheduler::measure_refusals(int64_t now_ns) noexcept {
  const double passed = static_cast<double>(now_ns - refused_ns_);
  if (passed < rate_window_ns_ / 8) return;
  refused_ns_ = now_ns;
  const uint64_t refused = admission_.refused() - refused_, admitted = admission_.admitted() - admitted_;
  refused_ += refused;
  admitted_ += admitted;
  if (refused + admitted == 0) return;
  const double share = static_cast<double>(refused) / static_cast<double>(refused + admitted);
  refused_share_ += (1 - std::exp(-passed / rate_window_ns_)) * (share - refused_share_);
}

// Admission errs: other requests pass, batches are smaller than they could be, clocks drift. Its margin is what keeps
// kMissed of the admitted from making it, found as a quantile is by stochastic approximation (Robbins and Monro, 1951):
// each miss raises it by a step, each hit lowers it by as much less as hits are to be more frequent.
void DeadlineScheduler::adapt_margin(const Plan& plan, int64_t now_ns, uint32_t shape_class) noexcept {
  if (plan.requests + plan.give_up == 0) return;
  uint32_t missed = plan.give_up;
  const int64_t ends = now_ns + latency_.typical_ns(shape_class, plan.rows);
  for (uint32_t i = plan.give_up; i < plan.give_up + plan.requests; ++i) {
    if (candidates_[i].due_ns < ends) ++missed;
  }
  const uint32_t full = settings_->requests_capacity();
  const double step = kMarginStep * static_cast<double>(latency_.typical_ns(shape_class, full)) / full;
  const double most = static_cast<double>(settings_->slo.target_ns) * kMostMargin;
  const uint32_t made = plan.requests + plan.give_up - missed;
  margin_ns_ = std::clamp(margin_ns_ + step * missed - step * kMissed * made, 0.0, most);
  admission_.publish_margin(static_cast<int64_t>(margin_ns_));
}

// What the priorities above each level take of the instances' time: lower ones drain by so much more slowly.
void DeadlineScheduler::measure_levels(int64_t now_ns, double best_rate) noexcept {
  const double passed = static_cast<double>(now_ns - levels_ns_);
  if (passed < rate_window_ns_ / 8) return;
  levels_ns_ = now_ns;
  const double weight = 1 - std::exp(-passed / rate_window_ns_);
  double above = 0;
  for (uint32_t level = 1; level <= std::min<size_t>(settings_->levels.size(), Admission::kLevels); ++level) {
    // Of kPassedBy + 1 batches one is theirs in any case.
    const double share = best_rate > 0 ? std::min(above / best_rate, kPassedBy / (kPassedBy + 1.0)) : 0;
    admission_.publish_share_above(level, share);
    const uint64_t rows = admission_.admitted_rows(level);
    level_rates_[level] += weight * (static_cast<double>(rows - level_rows_[level]) / passed - level_rates_[level]);
    level_rows_[level] = rows;
    above += level_rates_[level];
  }
}

Plan DeadlineScheduler::decide(uint32_t instance, int64_t now_ns, uint32_t shape_class) noexcept {
  const double rate = arrival_rate(now_ns);
  const uint32_t active = admission_.active();
  const double best_rate = latency_.best_rate(shape_class) * active;
  admission_.publish(active, rate);
  measure_refusals(now_ns);
  if (settings_->levels.size() > 1) measure_levels(now_ns, best_rate);
  last_ = policy_.decide({.now_ns = now_ns,
                          .shape_class = shape_class,
                          .closed = closed_,
                          .other_free_ns = admission_.first_free_ns(now_ns, instance),
                          .arrival_rate = rate,
                          .best_rate = best_rate,
                          .target_ns = settings_->slo.target_ns,
                          .last_start_ns = last_start_ns_,
                          .instances = active,
                          .scarce = refused_share_ > kScarce},
                         candidates_);
  decided_ns_ = now_ns;
  adapt_margin(last_, now_ns, shape_class);
  return last_;
}

void DeadlineScheduler::formed(RequestQueue& queue, const Descriptor* descriptors, uint32_t from,
                               uint32_t to) noexcept {
  last_start_ns_ = decided_ns_;
  // Requests of several rows leave some room in a batch that no other fits into.
  if (last_.reason == BatchReason::kFull && !closed_) {
    fill_ += (last_.rows - fill_) / 16;
    admission_.publish_fill(std::max(1.0, fill_));
  }
  if (queue.levels() == 1) return;
  for (uint32_t level = 1; level <= queue.levels(); ++level) {
    passed_by_[level] = queue.first_of(level) == kNoSlot ? 0 : passed_by_[level] + 1;
  }
  for (uint32_t i = from; i < to; ++i) passed_by_[descriptors[slots_[i]].level] = 0;
}

}  // namespace subten
