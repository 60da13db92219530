#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "schedule/request_queue.h"

namespace subten {
namespace {

TEST(DueOrder, is_that_of_a_sorted_list_whatever_comes_and_goes) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    constexpr uint32_t kSlots = 64;
    MappedArray<Descriptor> descriptors;
    RequestQueue queue;
    ASSERT_TRUE(descriptors.map(kSlots));
    ASSERT_TRUE(queue.initialise(descriptors.data(), kSlots, 2, true));
    std::vector<uint32_t> expected;  // in the order of dispatch
    uint64_t arrivals = 0;
    const auto before = [&](uint32_t a, uint32_t b) {
      const Descriptor &x = descriptors[a], &y = descriptors[b];
      if (x.level != y.level) return x.level < y.level;
      if (x.delayed != y.delayed) return x.delayed < y.delayed;
      if (x.delayed == 0 && x.due_ns != y.due_ns) return x.due_ns < y.due_ns;
      return x.arrival < y.arrival;
    };
    for (int step = 0; step < 400; ++step) {
      const uint32_t slot = random() % kSlots;
      const auto at = std::find(expected.begin(), expected.end(), slot);
      if (at == expected.end()) {
        Descriptor& descriptor = descriptors[slot];
        descriptor.level = 1 + random() % 2;
        descriptor.due_ns = random() % 20;  // many are due at once
        descriptor.deadline_ns = random() % 3 == 0 ? descriptor.due_ns : kNever;
        descriptor.timeout_ns = kNever;
        descriptor.timeout_delays = 0;
        queue.add(slot);
        ++arrivals;
        expected.insert(std::upper_bound(expected.begin(), expected.end(), slot, before), slot);
      } else if (random() % 4 == 0 && descriptors[slot].delayed == 0) {
        queue.move_behind(slot, kNever);
        // Behind those that were moved before it, whenever they came.
        expected.erase(at);
        auto place = expected.begin();
        while (place != expected.end() && descriptors[*place].level <= descriptors[slot].level) ++place;
        expected.insert(place, slot);
      } else {
        queue.remove(slot);
        expected.erase(at);
      }
      std::vector<uint32_t> found;
      for (uint32_t each = queue.first(); each != kNoSlot; each = queue.next(each)) found.push_back(each);
      ASSERT_EQ(found, expected) << "step " << step;
      ASSERT_EQ(queue.size(), expected.size());
      std::vector<uint32_t> levels;
      for (uint32_t level = 1; level <= 2; ++level) {
        for (uint32_t each = queue.first_of(level); each != kNoSlot; each = queue.next_of(each)) levels.push_back(each);
      }
      ASSERT_EQ(levels, expected);
    }
  }
}

}  // namespace
}  // namespace subten
