// Figures of a model: what stats begin anew with a reset, and totals that only grow.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "metrics/clock.h"
#include "metrics/histogram.h"
#include "test/executor/null_core.h"

namespace subten {
namespace {

uint64_t count_of(ModelCore& core, uint32_t stage) {
  std::vector<uint64_t> counts(Histogram::kCounters, 0);
  uint64_t sum = 0, max = 0;
  core.stage(stage, counts.data(), &sum, &max);
  uint64_t count = 0;
  for (const uint64_t each : counts) count += each;
  return count;
}

struct Totals {
  explicit Totals(ModelCore& core, const std::vector<int64_t>& thresholds = {}) {
    outcomes = core.totals(thresholds, &within, &measured);
  }
  ModelCore::Outcomes outcomes;
  std::vector<uint64_t> within;
  uint64_t measured = 0;
};

TEST(Figures, totals_only_grow_over_resets_and_ports_that_go) {
  Fixture fixture(batching());
  Client stays(fixture.core);
  for (int round = 1; round <= 3; ++round) {
    Client goes(fixture.core);
    for (Client* client : {&stays, &goes}) {
      ASSERT_EQ(client->submit(1, {}), Code::kOk);
      ASSERT_EQ(client->drain().size(), 1u);
    }
    goes.close();
    const auto until = monotonic_ns() + 5'000'000'000;
    uint64_t ports = 0;
    do {
      ports = 0;
      fixture.core->each_port([&](Port&) { ++ports; });
    } while (ports > 1 && monotonic_ns() < until);
    EXPECT_EQ(ports, 1u);
    const Totals totals(*fixture.core);
    EXPECT_EQ(totals.measured, 2u * round);
    EXPECT_EQ(totals.outcomes[0], 2u * round);
    EXPECT_EQ(totals.outcomes[1], 2u * round);
    EXPECT_EQ(count_of(*fixture.core, 7), 2u);
    EXPECT_EQ(fixture.core->outcomes()[1], 2u);
    fixture.core->reset_stats();
    EXPECT_EQ(count_of(*fixture.core, 7), 0u);
    EXPECT_EQ(fixture.core->outcomes()[1], 0u);
  }
  stays.close();
}

TEST(Figures, a_reset_from_another_thread_loses_and_doubles_nothing) {
  Fixture fixture(batching());
  Client client(fixture.core);
  std::atomic<bool> stop{false};
  std::thread resetting([&] {
    while (!stop.load(std::memory_order_relaxed)) fixture.core->reset_stats();
  });
  constexpr uint64_t kRequests = 2000;
  for (uint64_t i = 0; i < kRequests; ++i) {
    ASSERT_EQ(client.submit(1, {}), Code::kOk);
    ASSERT_EQ(client.drain().size(), 1u);
  }
  stop = true;
  resetting.join();
  const Totals totals(*fixture.core, {0, INT64_MAX});
  EXPECT_EQ(totals.outcomes[1], kRequests);
  EXPECT_EQ(totals.measured, kRequests);
  EXPECT_EQ(totals.within, (std::vector<uint64_t>{0, kRequests}));
  client.close();
}

TEST(Figures, thresholds_split_what_ended_well) {
  Fixture fixture(batching(), {{"busy_us", "3000"}});
  Client client(fixture.core);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(client.submit(1, {}), Code::kOk);
    ASSERT_EQ(client.drain().size(), 1u);
  }
  const Totals totals(*fixture.core, {2'900'000, 60'000'000'000});
  EXPECT_EQ(totals.within, (std::vector<uint64_t>{0, 5}));
  client.close();
}

TEST(Figures, a_request_whose_time_was_up_has_expired_and_one_that_was_turned_away_was_refused) {
  Fixture fixture(batching(), {{"busy_us", "20000"}});
  Client client(fixture.core);
  uint32_t slots[2];
  for (uint32_t& slot : slots) ASSERT_EQ(client.submit(1, {}, &slot), Code::kOk);
  EXPECT_TRUE(client.port->cancel(slots[0], 0, true));
  EXPECT_TRUE(client.port->cancel(slots[1], 0));
  client.port->turned_away(false);
  client.port->turned_away(true);
  // submitted, succeeded, failed, cancelled, expired, refused
  EXPECT_EQ(Totals(*fixture.core).outcomes, (ModelCore::Outcomes{3, 0, 0, 1, 2, 1}));
  client.close();
}

}  // namespace
}  // namespace subten
