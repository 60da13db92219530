#include "memory/slab_heap.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

namespace subten {
namespace {

TEST(SlabHeap, runs_never_overlap_and_all_granules_come_back_as_one_run) {
  constexpr uint32_t kGranules = 5000;
  constexpr uint32_t kSeed = 20240607;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  SlabHeap heap;
  ASSERT_TRUE(heap.initialise(kGranules));
  std::map<uint32_t, uint32_t> live;  // start → size
  uint32_t used = 0;
  for (int step = 0; step < 50'000; ++step) {
    if (random() % 2 == 0 || live.empty()) {
      const uint32_t size = 1 + random() % (random() % 8 == 0 ? 700 : 20);
      const uint32_t start = heap.allocate(size);
      if (start == SlabHeap::kNone) continue;
      ASSERT_LE(start + size, kGranules);
      const auto after = live.lower_bound(start);
      ASSERT_TRUE(after == live.end() || start + size <= after->first);
      ASSERT_TRUE(after == live.begin() || std::prev(after)->first + std::prev(after)->second <= start);
      live.emplace(start, size);
      used += size;
    } else {
      auto one = live.begin();
      std::advance(one, static_cast<int>(random() % live.size()));
      heap.free(one->first, one->second);
      used -= one->second;
      live.erase(one);
    }
    ASSERT_EQ(heap.free_granules(), kGranules - used);
  }
  for (const auto& [start, size] : live) heap.free(start, size);
  EXPECT_EQ(heap.free_granules(), kGranules);
  EXPECT_EQ(heap.allocate(kGranules), 0u) << "the free runs did not grow together";
}

TEST(SlabHeap, neighbours_grow_together_in_whatever_order_they_come_back) {
  for (const auto& order : std::vector<std::vector<uint32_t>>{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {0, 2, 1}, {2, 0, 1}}) {
    SlabHeap heap;
    ASSERT_TRUE(heap.initialise(30));
    for (uint32_t i = 0; i < 3; ++i) ASSERT_EQ(heap.allocate(10), i * 10);
    EXPECT_EQ(heap.allocate(1), SlabHeap::kNone);
    for (const uint32_t i : order) heap.free(i * 10, 10);
    EXPECT_EQ(heap.allocate(30), 0u);
  }
}

TEST(SlabHeap, a_run_that_is_just_long_enough_is_found) {
  for (uint32_t size = 1; size < 300; ++size) {
    SlabHeap heap;
    ASSERT_TRUE(heap.initialise(size));
    EXPECT_EQ(heap.allocate(size), 0u) << size;
  }
}

TEST(SlabHeap, nothing_and_too_much_are_refused) {
  SlabHeap heap;
  ASSERT_TRUE(heap.initialise(16));
  EXPECT_EQ(heap.allocate(0), SlabHeap::kNone);
  EXPECT_EQ(heap.allocate(17), SlabHeap::kNone);
  EXPECT_EQ(heap.free_granules(), 16u);
}

}  // namespace
}  // namespace subten
