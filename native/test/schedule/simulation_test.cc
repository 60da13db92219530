// Properties of the production policy, under the simulator's virtual clock.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "schedule/deadline_scheduler.h"
#include "schedule/sim/simulator.h"

namespace subten::sim {
namespace {

constexpr int64_t kMs = 1'000'000;

Options quiet(double load, int64_t duration_ms) {
  Options options;
  options.load.duration_ns = duration_ms * kMs;
  options.load.warm_up_ns = 500 * kMs;
  options.engine.noise = 0.03;
  options.load.rate = load * saturation(options);
  return options;
}

Options any(uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](uint32_t low, uint32_t high) { return low + random() % (high - low + 1); };
  Options options;
  options.seed = seed;
  options.load.kind = static_cast<LoadKind>(pick(0, 2));
  options.load.cv = pick(1, 6);
  options.load.duration_ns = 100 * kMs;
  options.load.warm_up_ns = 0;
  options.max_batch = pick(1, 16);
  options.load.rows_high = pick(1, options.max_batch);
  options.load.levels.assign(pick(1, 4), 1);
  options.load.burnt_high = pick(0, 9) / 10.0;
  options.load.budget_told = pick(0, 3) > 0;
  options.load.hard = pick(0, 2) / 2.0;
  options.engine.instances = pick(1, 4);
  options.engine.base_ns = pick(0, 20) * kMs / 10 + 1000;
  options.engine.row_ns = pick(0, 5) * kMs / 10;
  options.engine.noise = pick(0, 3) / 10.0;
  options.target_ns = pick(1, 30) * kMs;
  options.max_queue = pick(0, 3) == 0 ? pick(1, 20) : 4096;
  options.probe = pick(0, 1) * 3;
  if (pick(0, 2) == 0) options.engine.stalls = {{20 * kMs, 50}};
  if (pick(0, 2) == 0) options.engine.drifts = {{30 * kMs, 3}, {60 * kMs, 0.5}};
  options.load.rate =
      std::min(20'000.0, saturation(options) / ((1 + options.load.rows_high) / 2.0) * pick(1, 25) / 10.0);
  return options;
}

class EveryPolicy : public testing::TestWithParam<PolicyKind> {};

TEST_P(EveryPolicy, ends_each_request_once) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Options options = any(seed);
    options.policy.kind = GetParam();
    Figures f;
    uint64_t left = 1;
    ASSERT_TRUE(simulate(options, &f, &left));
    ASSERT_EQ(left, 0u) << "rows are still counted, or requests wait, when all have ended";
    ASSERT_EQ(f.offered, f.admitted + f.refused + f.queue_full);
    ASSERT_EQ(f.admitted, f.good + f.late + f.dropped + f.expired);
    ASSERT_EQ(f.answered.count(), f.good + f.late);
    ASSERT_EQ(f.admitted_all.count(), f.admitted);
    ASSERT_LE(f.probed_good, f.probed);
    ASSERT_LE(f.probed, f.refused);
  }
}
INSTANTIATE_TEST_SUITE_P(Simulation, EveryPolicy,
                         testing::Values(PolicyKind::kSlo, PolicyKind::kNone, PolicyKind::kStatic, PolicyKind::kAimd,
                                         PolicyKind::kRegression, PolicyKind::kClockwork, PolicyKind::kSymphony));

// What batches take is learned of all instances together: see docs/batching.md for what that costs where they differ.
TEST(Simulation, keeps_most_of_the_goodput_where_an_instance_is_slower) {
  const auto goodput = [](std::vector<double> paces, double load) {
    Options options = quiet(1, 5000);
    options.engine.instances = static_cast<uint32_t>(paces.size());
    options.engine.paces = std::move(paces);
    const double best = saturation(options);
    options.load.rate = load * best;
    Figures f;
    EXPECT_TRUE(simulate(options, &f));
    EXPECT_EQ(f.offered, f.admitted + f.refused + f.queue_full);
    return static_cast<double>(f.good) / static_cast<double>(f.span_ns) * 1e9 / best;
  };
  for (const double load : {1.2, 2.0}) {
    EXPECT_GT(goodput({1, 1}, load), 0.98);
    EXPECT_GT(goodput({1, 2}, load), 0.97);
    EXPECT_GT(goodput({2, 1}, load), 0.97);
    EXPECT_GT(goodput({1, 1, 1, 3}, load), 0.97);
    EXPECT_GT(goodput({1, 4}, load), 0.88);
  }
}

TEST(Simulation, keeps_its_promises_for_thousands_of_seeds) {
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    Figures f;
    ASSERT_TRUE(simulate(any(seed), &f));
    ASSERT_EQ(f.knowingly_late, 0u);
    ASSERT_EQ(f.out_of_order, 0u);
    // One more where all that the level had was late when its turn came, and moved behind.
    ASSERT_LE(f.most_passed_by, DeadlineScheduler::kPassedBy + 1);
  }
}

TEST(Simulation, is_the_same_for_a_seed_and_another_for_another) {
  Options options = quiet(1.2, 500);
  Figures a, b;
  ASSERT_TRUE(simulate(options, &a) && simulate(options, &b));
  EXPECT_EQ(a.good, b.good);
  EXPECT_EQ(a.events, b.events);
  options.seed = 2;
  ASSERT_TRUE(simulate(options, &b));
  EXPECT_NE(a.events, b.events);
}

double share(const std::vector<uint32_t>& series, size_t from, size_t to) {
  return std::accumulate(series.begin() + static_cast<ptrdiff_t>(from), series.begin() + static_cast<ptrdiff_t>(to),
                         0.0);
}

TEST(Simulation, goodput_stands_at_twice_the_load_and_what_is_admitted_makes_it) {
  for (const double load : {1.2, 2.0}) {
    for (uint32_t seed = 1; seed <= 5; ++seed) {
      Options options = quiet(load, 3000);
      options.seed = seed;
      Figures f;
      ASSERT_TRUE(simulate(options, &f));
      EXPECT_GE(static_cast<double>(f.good) / 3, 0.95 * saturation(options)) << load << " " << seed;
      EXPECT_GT(f.admitted_all.quantile(0.99), 0) << load << " " << seed;
      EXPECT_LE(f.admitted_all.quantile(0.99), options.target_ns) << load << " " << seed;
    }
  }
}

TEST(Simulation, recovers_within_a_second_when_the_engine_takes_three_times_as_long_and_when_it_is_quick_again) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    Options options = quiet(0.9, 9000);
    options.seed = seed;
    options.target_ns = 20 * kMs;
    options.engine.drifts = {{3000 * kMs, 3}, {6000 * kMs, 1}};
    Figures f;
    ASSERT_TRUE(simulate(options, &f));
    // From a second after each change on; the new speed allows a third of the best rate.
    EXPECT_GE(share(f.good_series, 40, 60) / 2, 0.9 * saturation(options) / 3) << seed;
    EXPECT_GE(share(f.good_series, 70, 90), 0.9 * share(f.offered_series, 70, 90)) << seed;
  }
}

TEST(Simulation, recovers_within_a_second_after_an_overload) {
  Options options = quiet(0.6, 6000);
  options.load.changes = {{2000 * kMs, 4}, {4000 * kMs, 1}};
  Figures f;
  ASSERT_TRUE(simulate(options, &f));
  EXPECT_GE(share(f.good_series, 50, 65), 0.99 * share(f.offered_series, 50, 65));
}

TEST(Simulation, one_stall_does_not_poison_the_estimate) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    Options options = quiet(0.7, 3000);
    options.seed = seed;
    options.engine.stalls = {{2000 * kMs, 50}};
    Figures f;
    ASSERT_TRUE(simulate(options, &f));
    // The stall lasts for up to 90 ms; ten batches later, 20 ms, nobody is refused for it any more.
    EXPECT_GE(share(f.good_series, 22, 35), 0.999 * share(f.offered_series, 22, 35)) << seed;
  }
}

TEST(Simulation, adds_no_wait_to_a_single_request) {
  Options options = quiet(0, 3000);
  options.load.kind = LoadKind::kConstant;
  options.load.rate = 10;
  options.engine.noise = 0;
  Figures f;
  ASSERT_TRUE(simulate(options, &f));
  EXPECT_NEAR(static_cast<double>(f.answered.quantile(0.99)), 1.1 * kMs, 0.01 * kMs);
}

TEST(Simulation, several_instances_take_turns_which_makes_batches_even) {
  Options options = quiet(0.5, 2000);
  options.engine.instances = 8;
  options.max_batch = 64;
  options.target_ns = 25 * kMs;
  options.load.rate = 0.5 * saturation(options);
  Figures turns, greedy;
  ASSERT_TRUE(simulate(options, &turns));
  options.policy.kind = PolicyKind::kStatic;
  ASSERT_TRUE(simulate(options, &greedy));
  EXPECT_LT(turns.answered.quantile(0.99), 0.9 * static_cast<double>(greedy.answered.quantile(0.99)));
  EXPECT_LT(turns.answered.quantile(0.5), greedy.answered.quantile(0.5));
}

TEST(Simulation, knowing_what_is_left_of_a_budget_is_worth_a_third_at_least) {
  Options options = quiet(1.2, 3000);
  options.load.burnt_high = 0.8;
  Figures told, untold;
  ASSERT_TRUE(simulate(options, &told));
  options.load.budget_told = false;
  ASSERT_TRUE(simulate(options, &untold));
  EXPECT_GE(told.good, 1.3 * untold.good);
}

}  // namespace
}  // namespace subten::sim
