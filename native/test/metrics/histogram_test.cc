#include "metrics/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace subten {
namespace {

HistogramSummary summary_of(const Histogram& histogram) {
  std::vector<uint64_t> counts(Histogram::kCounters, 0);
  uint64_t sum = 0, max = 0;
  histogram.add_to(counts.data(), &sum, &max);
  return summarise(counts.data(), sum, max);
}

TEST(Histogram, percentiles_of_random_latencies_are_within_a_thousandth_of_the_exact_ones) {
  constexpr uint32_t kSeed = 11;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  Histogram histogram;
  ASSERT_TRUE(histogram.initialise());
  std::vector<int64_t> values;
  std::lognormal_distribution<double> latency(12, 2.5);
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<int64_t>(std::min(latency(random), 1e11)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  const auto exact = [&](double share) {
    return static_cast<double>(values[static_cast<size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1]);
  };
  const HistogramSummary summary = summary_of(histogram);
  EXPECT_EQ(summary.count, values.size());
  EXPECT_NEAR(summary.p50, exact(0.5), exact(0.5) * 0.001);
  EXPECT_NEAR(summary.p95, exact(0.95), exact(0.95) * 0.001);
  EXPECT_NEAR(summary.p99, exact(0.99), exact(0.99) * 0.001);
  EXPECT_NEAR(summary.p999, exact(0.999), exact(0.999) * 0.001);
  EXPECT_EQ(summary.max, static_cast<double>(values.back()));
}

TEST(Histogram, every_value_falls_into_a_counter_whose_value_is_within_a_thousandth) {
  uint32_t last = 0;
  for (uint64_t value = 0; value <= Histogram::kHighest; value = value < 5000 ? value + 1 : value + value / 700) {
    const uint32_t index = Histogram::index_of(value);
    ASSERT_LT(index, Histogram::kCounters);
    ASSERT_GE(index, last);
    ASSERT_NEAR(Histogram::value_at(index), static_cast<double>(value), static_cast<double>(value) * 0.001);
    last = index;
  }
  EXPECT_EQ(Histogram::index_of(Histogram::kHighest), Histogram::kCounters - 1);
}

TEST(Histogram, negative_and_huge_values_are_kept_at_the_ends) {
  Histogram histogram;
  ASSERT_TRUE(histogram.initialise());
  EXPECT_EQ(summary_of(histogram).count, 0u);
  histogram.record(-5);
  histogram.record(INT64_MAX);
  const HistogramSummary summary = summary_of(histogram);
  EXPECT_EQ(summary.count, 2u);
  EXPECT_EQ(summary.p50, 0);
  EXPECT_EQ(summary.max, static_cast<double>(Histogram::kHighest));
  histogram.reset();
  EXPECT_EQ(summary_of(histogram).count, 0u);
}

TEST(Histogram, is_read_while_another_thread_records) {
  Histogram histogram;
  ASSERT_TRUE(histogram.initialise());
  std::thread recorder([&] {
    for (int i = 0; i < 50'000; ++i) histogram.record(i);
  });
  for (int i = 0; i < 20; ++i) EXPECT_LE(summary_of(histogram).count, 50'000u);
  recorder.join();
  EXPECT_EQ(summary_of(histogram).count, 50'000u);
}

}  // namespace
}  // namespace subten
