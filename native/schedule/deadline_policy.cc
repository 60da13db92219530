#include "schedule/deadline_policy.h"

#include <algorithm>
#include <cmath>

namespace subten {
namespace {

// From the decision to the start of the engine: the leader's own work and, where it slept, its waking up.
constexpr int64_t kWakeMarginNs = BatchPolicy::kDeadlineMarginNs;
// From this share of what all instances can do the time of an instance counts: what it spends on a small batch is
// missing to others. A batch with less than this share of the best rate is a small one.
constexpr double kBusy = 0.85;
// One row more must cost less than this part of a run of its own, or batching saves nothing.
constexpr double kWorthSharing = 0.9;

}  // namespace

DeadlinePolicy::Prefix DeadlinePolicy::fill(std::span<const Candidate> candidates, uint32_t most_rows) const noexcept {
  Prefix prefix;
  for (const Candidate& each : candidates) {
    if (prefix.requests > 0 && prefix.rows + each.rows > most_rows) {
      prefix.full = true;
      break;
    }
    prefix.rows += each.rows;
    ++prefix.requests;
    prefix.due_ns = std::min(prefix.due_ns, each.due_ns);
    if (prefix.rows >= most_rows) {
      prefix.full = true;
      break;
    }
  }
  return prefix;
}

bool DeadlinePolicy::in_time(const Situation& s, const Prefix& prefix) const noexcept {
  return prefix.due_ns == Candidate::kNoDue ||
         s.now_ns + latency_->high_ns(s.shape_class, prefix.rows) <= prefix.due_ns;
}

// The most of the first requests that are all in time as one batch. The first alone is in time at least typically.
DeadlinePolicy::Prefix DeadlinePolicy::shrink(const Situation& s,
                                              std::span<const Candidate> candidates) const noexcept {
  Prefix best, grown;
  for (const Candidate& each : candidates) {
    if (grown.requests > 0 && grown.rows + each.rows > capacity_) break;
    grown.rows += each.rows;
    ++grown.requests;
    grown.due_ns = std::min(grown.due_ns, each.due_ns);
    if (best.requests == 0 || in_time(s, grown)) best = grown;
    if (grown.rows >= capacity_) break;
  }
  return best;
}

// Rows of the next batch, at `at_ns`, that would be in time.
uint32_t DeadlinePolicy::made_after(const Situation& s, int64_t at_ns, std::span<const Candidate> rest,
                                    int64_t* took) const noexcept {
  uint32_t waiting = 0;
  for (const Candidate& each : rest) waiting += each.rows;
  const uint32_t size = std::min(waiting, capacity_);
  if (size == 0) return 0;
  const int64_t ends = at_ns + latency_->high_ns(s.shape_class, size);
  uint32_t made = 0;
  for (const Candidate& each : rest) {
    if (each.due_ns < ends || made + each.rows > capacity_) continue;
    made += each.rows;
  }
  if (made > 0) *took += latency_->typical_ns(s.shape_class, made);
  return made;
}

// What running `first` and then a batch of the rest gives: rows in time, less what its time is worth to others when
// there are always others.
double DeadlinePolicy::worth(const Situation& s, const Prefix& first, std::span<const Candidate> rest) const noexcept {
  int64_t took = latency_->typical_ns(s.shape_class, first.rows);
  const double made = first.rows + made_after(s, s.now_ns + took, rest, &took);
  const double rate = s.arrival_rate >= kBusy * s.best_rate ? latency_->best_rate(s.shape_class) : 0;
  return made - rate * static_cast<double>(took);
}

Plan DeadlinePolicy::go_or_wait(const Situation& s, const Prefix& prefix) const noexcept {
  Plan plan;
  const auto go = [&](BatchReason reason) {
    plan.requests = prefix.requests;
    plan.rows = prefix.rows;
    plan.reason = reason;
    return plan;
  };
  if (prefix.full || s.closed) return go(BatchReason::kFull);
  const int64_t high = latency_->high_ns(s.shape_class, prefix.rows);
  if (high == 0 || prefix.due_ns == Candidate::kNoDue) return go(BatchReason::kIdle);
  const int64_t leave_by = prefix.due_ns - latency_->high_ns(s.shape_class, prefix.rows + 1) - kWakeMarginNs;
  // Instances that take what there is as soon as they are free fall into step, and batches become uneven: where there
  // is always something to take, they start in turns.
  if (s.instances > 1 && s.last_start_ns != INT64_MIN) {
    const int64_t turn = latency_->typical_ns(s.shape_class, prefix.rows) / s.instances;
    const int64_t next = std::min(s.last_start_ns + turn, leave_by);
    if (s.now_ns < next && s.arrival_rate * static_cast<double>(turn) >= 1) {
      plan.wake_ns = next;
      return plan;
    }
  }
  // Whoever comes while this batch runs starts when an instance is free.
  const int64_t next_free = std::min(s.other_free_ns, s.now_ns + latency_->typical_ns(s.shape_class, prefix.rows));
  const double coming = s.arrival_rate * static_cast<double>(std::max<int64_t>(0, next_free - s.now_ns));
  if (coming < 1) return go(BatchReason::kIdle);
  const auto company = static_cast<uint32_t>(std::min<double>(capacity_, std::ceil(coming)));
  // Where requests are being refused, a batch far from its best rate wastes what they would need.
  const double pace = prefix.rows / static_cast<double>(latency_->typical_ns(s.shape_class, prefix.rows));
  const bool waste = s.scarce && pace < kBusy * latency_->best_rate(s.shape_class);
  if (!waste && next_free + latency_->high_ns(s.shape_class, company) <= s.now_ns + s.target_ns) {
    return go(BatchReason::kIdle);
  }
  // Some of them would be late. Does one row more save anything?
  const int64_t grown = latency_->typical_ns(s.shape_class, prefix.rows + 1);
  const int64_t alone = latency_->typical_ns(s.shape_class, 1);
  if (static_cast<double>(grown - latency_->typical_ns(s.shape_class, prefix.rows)) >
      kWorthSharing * static_cast<double>(alone)) {
    return go(BatchReason::kIdle);
  }
  if (s.now_ns >= leave_by) return go(BatchReason::kDeadline);
  plan.wake_ns = leave_by;
  return plan;
}

Plan DeadlinePolicy::decide(const Situation& s, std::span<const Candidate> all) const noexcept {
  uint32_t late = 0;
  while (late < all.size() && all[late].due_ns != Candidate::kNoDue &&
         s.now_ns + latency_->typical_ns(s.shape_class, all[late].rows) > all[late].due_ns) {
    ++late;
  }
  const std::span<const Candidate> candidates = all.subspan(late);
  Plan plan;
  if (!candidates.empty()) {
    const Prefix whole = fill(candidates, capacity_);
    if (in_time(s, whole)) {
      plan = go_or_wait(s, whole);
    } else {
      // The earliest leave no time for all of them. Either a smaller batch goes first, or the earliest are given up.
      const Prefix small = shrink(s, candidates);
      plan.requests = small.requests;
      plan.rows = small.rows;
      plan.reason = BatchReason::kDeadline;
      const double small_worth = worth(s, small, candidates.subspan(small.requests));
      for (uint32_t skip = 1; skip < whole.requests; ++skip) {
        const std::span<const Candidate> others = candidates.subspan(skip);
        const Prefix larger = fill(others, capacity_);
        if (!in_time(s, larger)) continue;
        if (larger.rows > small.rows && worth(s, larger, others.subspan(larger.requests)) > small_worth) {
          plan = go_or_wait(s, larger);
          plan.give_up = skip;
        }
        break;
      }
    }
  }
  plan.give_up += late;
  return plan;
}

}  // namespace subten
