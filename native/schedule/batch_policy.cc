#include "schedule/batch_policy.h"

namespace subten {

BatchPolicy::Decision BatchPolicy::decide(int64_t now_ns, int64_t earliest_deadline_ns) const noexcept {
  Decision decision;
  if (requests_ == 0) return decision;
  const auto go = [&](uint32_t requests, uint32_t rows, BatchReason reason) {
    decision.requests = requests;
    decision.rows = rows;
    decision.reason = reason;
    return decision;
  };
  // A full batch that is no preferred one gives way to the largest preferred batch within it, as in Triton.
  if (closed_ && settings_->dynamic && rows_ >= settings_->batch_capacity())
    return go(requests_, rows_, BatchReason::kFull);
  if (preferred_requests_ > 0) return go(preferred_requests_, preferred_rows_, BatchReason::kPreferred);
  if (!settings_->dynamic) return go(requests_, rows_, BatchReason::kIdle);
  if (closed_) return go(requests_, rows_, BatchReason::kFull);
  const int64_t delay_ns = settings_->max_queue_delay_ns;
  if (delay_ns <= 0) return go(requests_, rows_, BatchReason::kIdle);
  const int64_t delayed_until = oldest_ns_ + delay_ns;
  if (now_ns >= delayed_until) return go(requests_, rows_, BatchReason::kDelay);
  const int64_t leave_by = earliest_deadline_ns == INT64_MAX ? INT64_MAX : earliest_deadline_ns - kDeadlineMarginNs;
  if (now_ns >= leave_by) return go(requests_, rows_, BatchReason::kDeadline);
  decision.wake_ns = std::min(delayed_until, leave_by);
  uint32_t target = settings_->batch_capacity();
  const auto next = std::upper_bound(settings_->preferred.begin(), settings_->preferred.end(), rows_);
  if (next != settings_->preferred.end()) target = *next;
  decision.rows_wanted = target - rows_;
  return decision;
}

}  // namespace subten
