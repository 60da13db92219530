#include "flight/batch_log.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "flight/row_table.h"
#include "flight/slow_threshold.h"

namespace subten {
namespace {

// Every field says which batch it belongs to.
BatchEntry entry_of(uint64_t number) {
  const auto value = static_cast<int64_t>(number);
  return {.number = number,
          .dispatch_ns = value,
          .start_ns = value + 1,
          .end_ns = value + 2,
          .rows = static_cast<uint32_t>(number),
          .requests = static_cast<uint32_t>(number),
          .usual_ns = value,
          .measured_ns = value,
          .cpu_ns = value,
          .delay_ns = value};
}

TEST(BatchLog, keeps_the_last_batches_and_forgets_those_before) {
  BatchLog log;
  ASSERT_TRUE(log.initialise());
  BatchEntry entry;
  EXPECT_FALSE(log.read(1, &entry));
  for (uint64_t number = 1; number <= BatchLog::kEntries + 5; ++number) log.write(entry_of(number));
  EXPECT_EQ(log.latest(), BatchLog::kEntries + 5);
  EXPECT_FALSE(log.read(5, &entry));
  ASSERT_TRUE(log.read(6, &entry));
  EXPECT_EQ(entry.end_ns, 8);
  EXPECT_FALSE(log.read(0, &entry));
}

TEST(BatchLog, a_batch_that_ends_a_whole_ring_late_does_not_overwrite_a_later_one) {
  BatchLog log;
  ASSERT_TRUE(log.initialise());
  log.write(entry_of(BatchLog::kEntries + 1));
  log.write(entry_of(1));
  BatchEntry entry;
  EXPECT_FALSE(log.read(1, &entry));
  EXPECT_TRUE(log.read(BatchLog::kEntries + 1, &entry));
}

TEST(BatchLog, a_reader_sees_whole_batches_while_several_instances_write) {
  BatchLog log;
  ASSERT_TRUE(log.initialise());
  constexpr uint64_t kBatches = 30'000;
  std::atomic<uint64_t> next{1};
  std::atomic<bool> over{false};
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&] {
      for (uint64_t number = next++; number <= kBatches; number = next++) log.write(entry_of(number));
    });
  }
  uint64_t whole = 0;
  std::thread reader([&] {
    do {
      // From the far end of the ring too, where entries are being written over.
      for (const uint64_t back : {uint64_t{0}, uint64_t{1}, uint64_t{BatchLog::kEntries - 1}}) {
        const uint64_t latest = log.latest();
        BatchEntry entry;
        if (latest <= back || !log.read(latest - back, &entry)) continue;
        const auto value = static_cast<int64_t>(latest - back);
        ASSERT_EQ(entry.number, latest - back);
        ASSERT_EQ(entry.dispatch_ns, value);
        ASSERT_EQ(entry.end_ns, value + 2);
        ASSERT_EQ(entry.rows, latest - back);
        ASSERT_EQ(entry.delay_ns, value);
        ++whole;
      }
    } while (!over.load());
  });
  for (std::thread& writer : writers) writer.join();
  over = true;
  reader.join();
  EXPECT_GT(whole, 0u);
  EXPECT_LE(log.latest(), kBatches);
}

TEST(RowTable, counts_by_rows_and_knows_the_median) {
  RowTable table;
  ASSERT_TRUE(table.initialise(8));
  EXPECT_EQ(table.usual_ns(1), 0);
  for (int i = 0; i < 1000; ++i) table.add(4, i % 10 == 0 ? 50'000'000 : 1'000'000 + i);
  EXPECT_EQ(table.count(4), 1000u);
  EXPECT_NEAR(static_cast<double>(table.usual_ns(4)), 1e6, 2e5);
  EXPECT_EQ(table.usual_ns(5), table.usual_ns(4)) << "the nearest size that is known";
  table.add(99, 1000);
  EXPECT_EQ(table.count(8), 1u) << "more rows than the most count as the most";
  table.reset_counts();
  EXPECT_EQ(table.count(4), 0u);
}

TEST(RowTable, a_first_batch_that_is_slow_is_forgotten) {
  RowTable table;
  ASSERT_TRUE(table.initialise(1));
  table.add(1, 100'000'000);
  for (int i = 0; i < 60; ++i) table.add(1, 1'000'000);
  EXPECT_LT(table.usual_ns(1), 1'100'000);
}

TEST(SlowThreshold, about_one_in_a_hundred_is_above_whatever_the_times_are) {
  SlowThreshold threshold;
  uint64_t state = 1;
  const auto random = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) / 9007199254740992.0;
  };
  int above = 0;
  for (int i = 0; i < 60'000; ++i) {
    const bool slow = threshold.observe(static_cast<int64_t>(1e6 / (1.0001 - random())));
    if (i >= 10'000 && slow) ++above;
  }
  EXPECT_GT(above, 350);
  EXPECT_LT(above, 700);
  EXPECT_FALSE(SlowThreshold().observe(500)) << "too fast to be worth it";
}

}  // namespace
}  // namespace subten
