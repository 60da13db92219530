// Decides which of the requests in the queue go now, which wait, and which are given up, from their due times and what
// batches of each size take: a pure function of its arguments.
//
// It takes from Symphony (Chen et al., arXiv 2308.07470) that a batch may wait for company until its earliest request
// would be late with one row more, and from Clockwork (Gujarati et al., OSDI 2020) that what cannot make it is not run.
// It differs in when it waits: never while instances that come free soon take new requests in time, which is nearly
// always; waiting then only adds to latency, as a busy instance collects company by itself. And where the earliest
// request leaves time for a small batch only, it looks one batch ahead: whether running that small batch or giving the
// request up lets more of the queue make it.
#pragma once

#include <cstdint>
#include <span>

#include "schedule/batch_policy.h"
#include "schedule/latency_model.h"

namespace subten {

// A queued request, in the order of the queue: priority, then due time.
struct Candidate {
  static constexpr int64_t kNoDue = INT64_MAX;
  int64_t due_ns = kNoDue;  // when it must have ended; kNoDue: it is late already, or there is no hurry
  uint32_t rows = 1;
};

// What the policy looks at besides.
struct Situation {
  int64_t now_ns = 0;
  uint32_t shape_class = 0;
  bool closed = false;                // the candidates end where the next cannot share their batch
  int64_t other_free_ns = INT64_MAX;  // when another instance is free, as far as one knows; INT64_MAX: there is none
  double arrival_rate = 0;            // rows a nanosecond
  double best_rate = 0;               // the same that all instances can do; 0: unknown
  int64_t target_ns = INT64_MAX;      // what new requests have
  int64_t last_start_ns = INT64_MIN;  // when a batch was started last, on any instance
  uint32_t instances = 1;             // that may run
  bool scarce = false;  // requests are refused, now and then at least: rows in time count for more than time
};

struct Plan {
  uint32_t give_up = 0;   // the first so many cannot make it any more, or would keep more others from it
  uint32_t requests = 0;  // the next so many go now; 0: wait
  uint32_t rows = 0;
  BatchReason reason = BatchReason::kIdle;
  int64_t wake_ns = INT64_MAX;  // when to ask again, if it waits
  uint32_t rows_wanted = 1;     // rows whose arrival changes the answer
};

class DeadlinePolicy {
 public:
  DeadlinePolicy(uint32_t batch_capacity, const LatencyModel* latency) noexcept
      : capacity_(batch_capacity), latency_(latency) {}

  Plan decide(const Situation& situation, std::span<const Candidate> candidates) const noexcept;

 private:
  struct Prefix {
    uint32_t requests = 0;
    uint32_t rows = 0;
    int64_t due_ns = Candidate::kNoDue;  // the earliest in it
    bool full = false;                   // the next did not fit
  };
  Prefix fill(std::span<const Candidate> candidates, uint32_t most_rows) const noexcept;
  Prefix shrink(const Situation& s, std::span<const Candidate> candidates) const noexcept;
  bool in_time(const Situation& s, const Prefix& prefix) const noexcept;
  uint32_t made_after(const Situation& s, int64_t at_ns, std::span<const Candidate> rest, int64_t* took) const noexcept;
  double worth(const Situation& s, const Prefix& first, std::span<const Candidate> rest) const noexcept;
  Plan go_or_wait(const Situation& s, const Prefix& prefix) const noexcept;

  uint32_t capacity_;
  const LatencyModel* latency_;
};

}  // namespace subten
