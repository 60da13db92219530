#include "schedule/batch_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace subten {
namespace {

constexpr int64_t kNow = 1'000'000'000;
constexpr int64_t kNone = INT64_MAX;
constexpr int64_t kDelay = 1'000'000;

struct Case {
  std::string name;
  bool dynamic;
  std::vector<uint32_t> preferred;
  int64_t delay_ns;
  std::vector<uint32_t> rows;  // of the queued requests, oldest first
  size_t incompatible_from;    // position of the first that cannot share
  int64_t age_ns;              // of the oldest
  int64_t deadline_ns;         // relative to now, kNone
  uint32_t requests;           // expected; 0: waits
  BatchReason reason;
  int64_t wake_ns;  // relative to now, if it waits
  uint32_t wanted;
};

class Policy : public testing::TestWithParam<Case> {};

TEST_P(Policy, decides) {
  const Case& c = GetParam();
  BatchSettings settings;
  settings.max_batch_size = 8;
  settings.dynamic = c.dynamic;
  settings.preferred = c.preferred;
  settings.max_queue_delay_ns = c.delay_ns;
  BatchPolicy policy(settings);
  for (size_t i = 0; i < c.rows.size() && !policy.closed(); ++i) {
    if (!policy.offer(c.rows[i], i < c.incompatible_from, kNow - c.age_ns + static_cast<int64_t>(i))) break;
  }
  const auto decision = policy.decide(kNow, c.deadline_ns == kNone ? kNone : kNow + c.deadline_ns);
  EXPECT_EQ(decision.requests, c.requests);
  if (c.requests > 0) {
    uint32_t rows = 0;
    for (uint32_t i = 0; i < c.requests; ++i) rows += c.rows[i];
    EXPECT_EQ(decision.rows, rows);
    EXPECT_EQ(decision.reason, c.reason);
  } else if (!c.rows.empty()) {
    EXPECT_EQ(decision.wake_ns, kNow + c.wake_ns);
    EXPECT_EQ(decision.rows_wanted, c.wanted);
  } else {
    EXPECT_EQ(decision.wake_ns, kNone);
  }
}

using R = BatchReason;
constexpr size_t kAll = 99;
INSTANTIATE_TEST_SUITE_P(
    Table, Policy,
    testing::Values(
        Case{"nothing_queued", true, {}, kDelay, {}, kAll, 0, kNone, 0, R::kIdle, 0, 1},
        Case{"full", true, {}, kDelay, {1, 1, 1, 1, 1, 1, 1, 1}, kAll, 0, kNone, 8, R::kFull, 0, 0},
        Case{"full_by_rows", true, {}, kDelay, {3, 5, 1}, kAll, 0, kNone, 2, R::kFull, 0, 0},
        Case{"the_next_does_not_fit", true, {}, kDelay, {3, 6}, kAll, 0, kNone, 1, R::kFull, 0, 0},
        Case{"the_next_is_of_another_shape", true, {}, kDelay, {1, 1, 1}, 2, 0, kNone, 2, R::kFull, 0, 0},
        Case{"no_delay_goes_idle", true, {}, 0, {1, 1}, kAll, 0, kNone, 2, R::kIdle, 0, 0},
        Case{"dynamic_off_goes_alone", false, {}, kDelay, {2, 1}, kAll, 0, kNone, 1, R::kIdle, 0, 0},
        Case{"waits_for_the_delay", true, {}, kDelay, {1, 2}, kAll, 400'000, kNone, 0, R::kIdle, 600'000, 5},
        Case{"delay_over", true, {}, kDelay, {1, 2}, kAll, kDelay, kNone, 2, R::kDelay, 0, 0},
        Case{"leaves_before_the_deadline", true, {}, kDelay, {1}, kAll, 0, 200'000, 1, R::kDeadline, 0, 0},
        Case{"wakes_before_the_deadline", true, {}, kDelay, {1}, kAll, 0, 500'000, 0, R::kIdle, 300'000, 7},
        Case{"preferred_reached", true, {4}, kDelay, {1, 1, 1, 1}, kAll, 0, kNone, 4, R::kPreferred, 0, 0},
        Case{"largest_preferred_within", true, {2, 4}, kDelay, {2, 1, 1, 1}, kAll, 0, kNone, 3, R::kPreferred, 0, 0},
        Case{"waits_for_preferred", true, {4, 8}, kDelay, {1, 2}, kAll, 0, kNone, 0, R::kIdle, kDelay, 1},
        Case{"beyond_all_preferred", true, {2}, kDelay, {3}, kAll, 0, kNone, 0, R::kIdle, kDelay, 5},
        Case{"preferred_is_full", true, {8}, kDelay, {4, 4}, kAll, 0, kNone, 2, R::kFull, 0, 0}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace subten
