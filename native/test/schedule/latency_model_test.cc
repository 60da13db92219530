#include "schedule/latency_model.h"

#include <gtest/gtest.h>

#include <random>

namespace subten {
namespace {

constexpr int64_t kMs = 1'000'000;

int64_t line(uint32_t rows) { return kMs + rows * kMs / 10; }

LatencyModel model_of(uint32_t capacity, std::initializer_list<uint32_t> sizes, uint32_t times = 8) {
  LatencyModel model;
  EXPECT_TRUE(model.initialise(capacity, 1));
  for (const uint32_t rows : sizes) {
    for (uint32_t i = 0; i < times; ++i) model.observe(0, rows, line(rows));
  }
  return model;
}

TEST(LatencyModel, knows_nothing_before_the_first_batch) {
  LatencyModel model;
  ASSERT_TRUE(model.initialise(8, 1));
  EXPECT_FALSE(model.known(0));
  EXPECT_EQ(model.estimate(0, 4).basis, Basis::kUnknown);
  EXPECT_EQ(model.high_ns(0, 8), 0);
  EXPECT_EQ(model.best_rate(0), 0);
}

TEST(LatencyModel, a_stall_moves_nothing_and_a_change_is_followed_after_three_batches) {
  LatencyModel model;
  ASSERT_TRUE(model.initialise(8, 1));
  for (int i = 0; i < 40; ++i) model.observe(0, 8, line(8));
  model.observe(0, 8, 50 * line(8));
  EXPECT_EQ(model.typical_ns(0, 8), line(8));
  EXPECT_EQ(model.high_ns(0, 8), line(8));
  for (int i = 0; i < 3; ++i) model.observe(0, 8, 3 * line(8));
  EXPECT_EQ(model.high_ns(0, 8), 3 * line(8));
}

TEST(LatencyModel, a_size_that_was_never_seen_takes_no_more_than_a_larger_one_nor_than_a_smaller_one_in_proportion) {
  LatencyModel model;
  ASSERT_TRUE(model.initialise(64, 1));
  for (int i = 0; i < 8; ++i) model.observe(0, 4, line(4));
  EXPECT_EQ(model.typical_ns(0, 8), 2 * line(4));
  EXPECT_EQ(model.typical_ns(0, 5), line(4) * 5 / 4);  // not two runs of four: it would never be tried
  EXPECT_EQ(model.estimate(0, 5).basis, Basis::kBeyond);
  EXPECT_EQ(model.typical_ns(0, 2), line(4));
  EXPECT_EQ(model.estimate(0, 2).basis, Basis::kBetween);
  for (int i = 0; i < 8; ++i) model.observe(0, 64, line(64));
  EXPECT_EQ(model.typical_ns(0, 5), line(4) * 5 / 4);
  EXPECT_EQ(model.typical_ns(0, 32), line(64));
}

TEST(LatencyModel, what_a_slow_phase_left_behind_gives_way_to_what_was_seen_since) {
  LatencyModel model;
  ASSERT_TRUE(model.initialise(8, 1));
  for (uint32_t rows = 1; rows <= 8; ++rows) {
    for (int i = 0; i < 32; ++i) model.observe(0, rows, 10 * line(rows));
  }
  for (int i = 0; i < 100; ++i) model.observe(0, 4, line(4));
  EXPECT_EQ(model.high_ns(0, 8), 2 * line(4));
  EXPECT_EQ(model.high_ns(0, 1), line(4));
}

TEST(LatencyModel, larger_batches_take_no_less_whatever_the_noise) {
  for (uint32_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    LatencyModel model;
    const uint32_t capacity = 1 + random() % 300;
    ASSERT_TRUE(model.initialise(capacity, 1));
    for (int size = 0; size < 20; ++size) {
      const uint32_t rows = 1 + random() % capacity;
      for (int i = 0; i < 4; ++i) model.observe(0, rows, line(rows) * (50 + random() % 100) / 100);
    }
    for (uint32_t rows = 2; rows <= capacity; ++rows) {
      ASSERT_GE(model.typical_ns(0, rows), model.typical_ns(0, rows - 1)) << rows;
      ASSERT_GE(model.high_ns(0, rows), model.high_ns(0, rows - 1)) << rows;
      ASSERT_GE(model.high_ns(0, rows), model.typical_ns(0, rows)) << rows;
    }
  }
}

TEST(LatencyModel, sizes_above_64_share_cells_sixteen_to_a_doubling) {
  LatencyModel model = model_of(1000, {66, 1000});
  EXPECT_EQ(model.estimate(0, 65).basis, Basis::kMeasured);
  EXPECT_EQ(model.estimate(0, 68).basis, Basis::kMeasured);
  EXPECT_EQ(model.estimate(0, 64).basis, Basis::kBetween);
  EXPECT_EQ(model.estimate(0, 69).basis, Basis::kBetween);
  EXPECT_EQ(model.estimate(0, 1000).basis, Basis::kMeasured);
  EXPECT_EQ(model.estimate(0, 5000).typical_ns, line(1000));  // as the largest
}

TEST(LatencyModel, what_it_saves_it_reads_back) {
  const LatencyModel model = model_of(1000, {1, 7, 66, 1000});
  LatencyModel again;
  ASSERT_TRUE(again.initialise(1000, 1));
  again.seed(model.save());
  for (const uint32_t rows : {1u, 2u, 7u, 30u, 66u, 1000u})
    EXPECT_EQ(again.typical_ns(0, rows), model.typical_ns(0, rows));
  EXPECT_EQ(again.save(), model.save());
}

TEST(LatencyModel, a_few_batches_outweigh_what_was_saved) {
  LatencyModel model;
  ASSERT_TRUE(model.initialise(8, 1));
  model.seed(model_of(8, {8}).save());
  for (int i = 0; i < 5; ++i) model.observe(0, 8, 3 * line(8));
  EXPECT_EQ(model.typical_ns(0, 8), 3 * line(8));
}

TEST(LatencyModel, text_that_is_no_table_is_ignored) {
  const std::string good = model_of(8, {1, 8}).save();
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    std::string text = good;
    for (uint32_t changes = random() % 4; changes > 0; --changes)
      text[random() % text.size()] = static_cast<char>(random());
    text.resize(random() % (text.size() + 1));
    LatencyModel model;
    ASSERT_TRUE(model.initialise(8, 1));
    model.seed(text);
    for (uint32_t rows = 1; rows <= 8; ++rows) ASSERT_GE(model.high_ns(0, rows), 0);
  }
  for (const char* text :
       {"", "subten-latency/1 ", "subten-latency/1 9:1:1000:1000;", "subten-latency/1 0:9:1000:1000;",
        "subten-latency/1 0:1:-5:1000;", "subten-latency/1 0:1:2000:1000;",
        "subten-latency/1 0:1:99999999999999999999:1;", "subten-latency/2 0:1:1000:1000;"}) {
    LatencyModel model;
    ASSERT_TRUE(model.initialise(8, 1));
    model.seed(text);
    EXPECT_FALSE(model.known(0)) << text;
  }
}

}  // namespace
}  // namespace subten
