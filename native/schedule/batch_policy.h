// Decides which requests form the next batch, and whether to wait for more: a pure function of what is queued, the
// clock and the settings. The meaning of the settings is Triton's (model configuration, "Dynamic Batcher").
//
// The leader offers the queued requests in order; the policy counts them and then decides.
#pragma once

#include <cstdint>

#include "schedule/settings.h"

namespace subten {

// Why a batch went. The order is shared with src/runtime/record.ts.
enum class BatchReason : uint8_t {
  kFull = 0,   // no more fits, or the next request cannot share the batch
  kPreferred,  // a preferred_batch_size was reached
  kDelay,      // the oldest request has waited for max_queue_delay_microseconds
  kDeadline,   // waiting longer would let a deadline pass
  kIdle,       // an instance was free and there is nothing to wait for
};
inline constexpr uint32_t kBatchReasons = 5;

class BatchPolicy {
 public:
  // A batch that waits leaves this long before the earliest deadline in the queue: the time to wake up and start.
  static constexpr int64_t kDeadlineMarginNs = 200'000;

  explicit BatchPolicy(const BatchSettings& settings) noexcept : settings_(&settings) {}

  // Offers the next request in order. False when it is not taken; then no further one may be offered.
  bool offer(uint32_t rows, bool compatible, int64_t submit_ns) noexcept {
    if (requests_ > 0 && (!settings_->dynamic || !compatible || rows_ + rows > settings_->batch_capacity())) {
      closed_ = true;
      return false;
    }
    rows_ += rows;
    ++requests_;
    if (submit_ns < oldest_ns_) oldest_ns_ = submit_ns;
    if (is_preferred(rows_)) {
      preferred_requests_ = requests_;
      preferred_rows_ = rows_;
    }
    if (rows_ >= settings_->batch_capacity() || !settings_->dynamic) closed_ = true;
    return true;
  }
  // No further request can join.
  bool closed() const noexcept { return closed_; }

  struct Decision {
    uint32_t requests = 0;  // the first so many offered requests go now; 0: wait
    uint32_t rows = 0;
    BatchReason reason = BatchReason::kIdle;
    int64_t wake_ns = INT64_MAX;  // when to ask again at the latest, if it waits
    uint32_t rows_wanted = 1;     // rows whose arrival would change the answer
  };

  // `earliest_deadline_ns`: of all that is queued, INT64_MAX when there is none.
  Decision decide(int64_t now_ns, int64_t earliest_deadline_ns) const noexcept;

 private:
  bool is_preferred(uint32_t rows) const noexcept {
    return std::binary_search(settings_->preferred.begin(), settings_->preferred.end(), rows);
  }
  const BatchSettings* settings_;
  uint32_t rows_ = 0;
  uint32_t requests_ = 0;
  uint32_t preferred_requests_ = 0;
  uint32_t preferred_rows_ = 0;
  int64_t oldest_ns_ = INT64_MAX;
  bool closed_ = false;
};

}  // namespace subten
