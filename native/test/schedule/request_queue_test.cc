#include "schedule/request_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace subten {
namespace {

struct Queue {
  explicit Queue(uint32_t slots = 64, uint32_t levels = 2) {
    EXPECT_TRUE(descriptors.map(slots));
    EXPECT_TRUE(queue.initialise(descriptors.data(), slots, levels));
  }
  void add(uint32_t slot, uint16_t level, int64_t submit = 0, int64_t deadline = kNever, int64_t timeout = kNever,
           bool delays = false) {
    Descriptor& descriptor = descriptors[slot];
    descriptor.level = level;
    descriptor.submit_ns = submit;
    descriptor.deadline_ns = deadline;
    descriptor.timeout_ns = timeout;
    descriptor.timeout_delays = delays ? 1 : 0;
    queue.add(slot);
  }
  std::vector<uint32_t> order() const {
    std::vector<uint32_t> slots;
    for (uint32_t slot = queue.first(); slot != kNoSlot; slot = queue.next(slot)) slots.push_back(slot);
    return slots;
  }
  MappedArray<Descriptor> descriptors;
  RequestQueue queue;
};

TEST(RequestQueue, level_first_and_order_of_arrival_within_it) {
  Queue q;
  q.add(5, 2);
  q.add(3, 1);
  q.add(4, 2);
  q.add(9, 1);
  EXPECT_EQ(q.order(), (std::vector<uint32_t>{3, 9, 5, 4}));
  q.queue.remove(9);
  q.queue.remove(5);
  EXPECT_EQ(q.order(), (std::vector<uint32_t>{3, 4}));
  EXPECT_EQ(q.queue.size(), 2u);
}

TEST(RequestQueue, a_timeout_with_action_delay_moves_it_behind_its_level_and_leaves_its_deadline) {
  Queue q;
  q.add(0, 1, 0, 1000, 10, true);
  q.add(1, 1);
  q.add(2, 2);
  EXPECT_EQ(q.queue.next_expiry_ns(), 10);
  EXPECT_EQ(q.queue.pop_expired(10), kNoSlot);
  EXPECT_EQ(q.order(), (std::vector<uint32_t>{1, 0, 2}));
  EXPECT_EQ(q.queue.next_expiry_ns(), 1000);
  EXPECT_EQ(q.queue.pop_expired(1000), 0u);
  EXPECT_EQ(q.order(), (std::vector<uint32_t>{1, 2}));
}

TEST(RequestQueue, a_timeout_with_action_reject_expires) {
  Queue q;
  q.add(0, 1, 5, kNever, 10);
  EXPECT_EQ(q.queue.pop_expired(14), kNoSlot);
  EXPECT_EQ(q.queue.pop_expired(15), 0u);
  EXPECT_EQ(q.queue.pop_expired(15), kNoSlot);
  EXPECT_EQ(q.queue.next_expiry_ns(), kNever);
}

TEST(RequestQueue, behaves_like_a_plain_list_under_random_operations) {
  constexpr uint32_t kSeed = 7, kSlots = 200, kLevels = 3;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  Queue q(kSlots, kLevels);
  struct Entry {
    uint32_t slot;
    uint16_t level;
    bool delayed;
    int64_t timeout_at, deadline;
    bool delays;
    uint64_t order;
    int64_t expiry() const { return delayed ? deadline : std::min(deadline, timeout_at); }
  };
  std::vector<Entry> model;
  std::vector<uint32_t> idle(kSlots);
  for (uint32_t i = 0; i < kSlots; ++i) idle[i] = i;
  uint64_t order = 0;
  int64_t now = 0;
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t what = random() % 10;
    if (what < 5 && !idle.empty()) {
      const size_t at = random() % idle.size();
      const uint32_t slot = idle[at];
      idle.erase(idle.begin() + static_cast<ptrdiff_t>(at));
      const int64_t deadline = random() % 3 == 0 ? kNever : now + random() % 500;
      const int64_t timeout = random() % 2 == 0 ? kNever : static_cast<int64_t>(random() % 300);
      const bool delays = random() % 2 == 0;
      const auto level = static_cast<uint16_t>(1 + random() % kLevels);
      q.add(slot, level, now, deadline, timeout, delays);
      model.push_back({slot, level, false, timeout == kNever ? kNever : now + timeout, deadline, delays, order++});
    } else if (what < 8 && !model.empty()) {
      const size_t at = random() % model.size();
      q.queue.remove(model[at].slot);
      idle.push_back(model[at].slot);
      model.erase(model.begin() + static_cast<ptrdiff_t>(at));
    } else {
      now += random() % 40;
      std::vector<uint32_t> expired, wanted;
      for (uint32_t slot = q.queue.pop_expired(now); slot != kNoSlot; slot = q.queue.pop_expired(now))
        expired.push_back(slot);
      for (Entry& entry : model) {
        if (entry.expiry() > now) continue;
        if (entry.delays && !entry.delayed && entry.deadline > now) {
          entry.delayed = true;
        } else {
          wanted.push_back(entry.slot);
        }
      }
      std::sort(expired.begin(), expired.end());
      std::sort(wanted.begin(), wanted.end());
      ASSERT_EQ(expired, wanted);
      std::erase_if(model, [&](const Entry& e) { return std::binary_search(wanted.begin(), wanted.end(), e.slot); });
      idle.insert(idle.end(), wanted.begin(), wanted.end());
    }
    ASSERT_EQ(q.queue.size(), model.size());
    int64_t next = kNever;
    for (const Entry& entry : model) next = std::min(next, entry.expiry());
    ASSERT_EQ(q.queue.next_expiry_ns(), next);
    // Level, then those that were not delayed in order of arrival, then the delayed ones in any order.
    const auto slots = q.order();
    ASSERT_EQ(slots.size(), model.size());
    const auto entry_of = [&](uint32_t slot) {
      return *std::find_if(model.begin(), model.end(), [&](const Entry& e) { return e.slot == slot; });
    };
    for (size_t i = 1; i < slots.size(); ++i) {
      const Entry a = entry_of(slots[i - 1]), b = entry_of(slots[i]);
      ASSERT_LE(std::pair(a.level, a.delayed), std::pair(b.level, b.delayed));
      if (a.level == b.level && !a.delayed && !b.delayed) {
        ASSERT_LT(a.order, b.order);
      }
    }
  }
}

}  // namespace
}  // namespace subten
