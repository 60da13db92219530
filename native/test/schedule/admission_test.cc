#include "schedule/admission.h"

#include <gtest/gtest.h>

#include <random>
#include <tuple>
#include <vector>

namespace subten {
namespace {

constexpr int64_t kMs = 1'000'000;

// 8 rows at most, 1 ms + 0.1 ms a row, a target of 16 ms.
struct Door {
  Door() {
    EXPECT_TRUE(latency.initialise(8, 1));
    for (uint32_t rows = 1; rows <= 8; ++rows) {
      for (int i = 0; i < 8; ++i) latency.observe(0, rows, kMs + rows * kMs / 10);
    }
    EXPECT_TRUE(admission.initialise(16 * kMs, 8, 1, &latency));
  }
  Admission::Verdict ask(int64_t budget, uint32_t level = 1) { return admission.admit(level, 1, now + budget, 0, now); }
  LatencyModel latency;
  Admission admission;
  int64_t now = 1000 * kMs;
};

TEST(Admission, an_idle_instance_takes_what_fits_and_refuses_what_does_not) {
  Door door;
  EXPECT_FALSE(door.ask(kMs).admitted);
  EXPECT_EQ(door.ask(kMs).predicted_ns, kMs * 11 / 10);
  EXPECT_TRUE(door.ask(kMs * 11 / 10).admitted);
}

TEST(Admission, a_request_behind_others_waits_for_their_batches) {
  Door door;
  door.admission.runs(0, door.now + kMs);
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(door.ask(16 * kMs).admitted);
  // The run ends in 1 ms, then two full batches of 1.8 ms and its own, of those who come meanwhile too.
  EXPECT_GE(door.ask(16 * kMs).predicted_ns, kMs * (10 + 18 + 18 + 11) / 10);
}

TEST(Admission, one_that_refuses_admits_again_only_with_room_to_spare) {
  Door door;
  door.admission.runs(0, door.now + kMs);
  int admitted = 0;
  std::vector<uint8_t> buckets;
  for (;; ++admitted) {
    const Admission::Verdict verdict = door.ask(16 * kMs);
    if (!verdict.admitted) break;
    buckets.push_back(verdict.bucket);
  }
  ASSERT_GT(admitted, 40);
  // A batch less ahead, 1.8 ms, is more than the sixteenth of the target that it must spare, 1 ms; half a batch is not.
  const int64_t predicted = door.ask(16 * kMs).predicted_ns;
  EXPECT_FALSE(door.ask(predicted + kMs / 2).admitted);
  EXPECT_FALSE(door.ask(predicted + kMs / 2).admitted);
  EXPECT_TRUE(door.ask(predicted + kMs * 11 / 10).admitted);
  EXPECT_TRUE(door.ask(predicted + kMs / 2).admitted);  // now it is open again
}

TEST(Admission, an_urgent_request_does_not_push_out_what_was_promised) {
  Door door;
  door.admission.runs(0, door.now + kMs);
  // 24 rows due as early as three batches allow.
  for (int i = 0; i < 24; ++i)
    ASSERT_TRUE(door.admission.admit(1, 1, door.now + kMs * 70 / 10, 0, door.now).admitted) << i;
  const Admission::Verdict verdict = door.ask(4 * kMs);
  EXPECT_FALSE(verdict.admitted);
  EXPECT_TRUE(verdict.crowded);
}

TEST(Admission, a_lower_priority_counts_with_what_the_higher_ones_take) {
  Door door;
  door.admission.runs(0, door.now + kMs);
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(door.ask(16 * kMs, 2).admitted);
  const int64_t before = door.ask(16 * kMs, 2).predicted_ns;
  door.admission.publish_share_above(2, 0.5);
  EXPECT_GT(door.ask(16 * kMs, 2).predicted_ns, before + 3 * kMs);
}

TEST(Admission, its_counters_return_to_zero) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Door door;
    std::vector<std::tuple<uint32_t, uint32_t, uint8_t>> waiting;
    for (int i = 0; i < 300; ++i) {
      door.now += random() % kMs;
      const uint32_t level = 1 + random() % 6, rows = 1 + random() % 8;
      const Admission::Verdict verdict =
          door.admission.admit(level, rows, door.now + random() % (200 * kMs), 0, door.now);
      if (verdict.admitted) waiting.emplace_back(level, rows, verdict.bucket);
      while (!waiting.empty() && random() % 2 == 0) {
        const auto [l, r, b] = waiting.back();
        door.admission.leave(l, r, b);
        waiting.pop_back();
      }
    }
    for (const auto& [level, rows, bucket] : waiting) door.admission.leave(level, rows, bucket);
    ASSERT_EQ(door.admission.waiting_rows(), 0u);
  }
}

}  // namespace
}  // namespace subten
