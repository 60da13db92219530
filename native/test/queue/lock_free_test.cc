// Inbox, slot pool, completion ring, parking and wake gate under several threads.

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "memory/mapped_array.h"
#include "metrics/clock.h"
#include "queue/completion_ring.h"
#include "queue/inbox.h"
#include "queue/leader_token.h"
#include "queue/parking.h"
#include "queue/slot_pool.h"
#include "queue/wake_gate.h"

namespace subten {
namespace {

TEST(Inbox, gives_everything_back_in_the_order_it_came) {
  MappedArray<Descriptor> descriptors;
  ASSERT_TRUE(descriptors.map(8));
  Inbox inbox;
  EXPECT_TRUE(inbox.empty());
  EXPECT_EQ(inbox.take(descriptors.data()), kNoSlot);
  for (uint32_t slot = 0; slot < 8; ++slot) inbox.push(descriptors.data(), slot);
  EXPECT_FALSE(inbox.empty());
  uint32_t slot = inbox.take(descriptors.data());
  for (uint32_t i = 0; i < 8; ++i, slot = descriptors[slot].inbox_next.load()) ASSERT_EQ(slot, i);
  EXPECT_EQ(slot, kNoSlot);
  EXPECT_TRUE(inbox.empty());
}

TEST(Inbox, keeps_the_order_of_each_of_several_producers_and_loses_nothing) {
  constexpr uint32_t kProducers = 4, kEach = 5000;
  MappedArray<Descriptor> descriptors;
  ASSERT_TRUE(descriptors.map(kProducers * kEach));
  Inbox inbox;
  std::vector<std::thread> threads;
  for (uint32_t producer = 0; producer < kProducers; ++producer) {
    threads.emplace_back([&, producer] {
      for (uint32_t i = 0; i < kEach; ++i) {
        const uint32_t slot = producer * kEach + i;
        descriptors[slot].rows = slot + 1;
        inbox.push(descriptors.data(), slot);
      }
    });
  }
  std::vector<uint32_t> next(kProducers, 0);
  for (uint32_t seen = 0; seen < kProducers * kEach;) {
    for (uint32_t slot = inbox.take(descriptors.data()); slot != kNoSlot;) {
      ASSERT_EQ(descriptors[slot].rows, slot + 1) << "published before it was written";
      ASSERT_EQ(slot % kEach, next[slot / kEach]++);
      slot = descriptors[slot].inbox_next.load(std::memory_order_relaxed);
      ++seen;
    }
  }
  for (auto& thread : threads) thread.join();
}

TEST(SlotPool, leases_neighbours_and_runs_dry) {
  MappedArray<Descriptor> descriptors;
  ASSERT_TRUE(descriptors.map(4));
  SlotPool pool;
  pool.initialise(descriptors.data(), 4);
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(pool.pop(), i);
  EXPECT_EQ(pool.pop(), kNoSlot);
  pool.push(2);
  EXPECT_EQ(pool.pop(), 2u);
}

TEST(SlotPool, never_gives_a_slot_to_two_threads) {
  constexpr uint32_t kSlots = 16;
  MappedArray<Descriptor> descriptors;
  ASSERT_TRUE(descriptors.map(kSlots));
  SlotPool pool;
  pool.initialise(descriptors.data(), kSlots);
  std::atomic<uint32_t> held[kSlots] = {};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 30'000; ++i) {
        const uint32_t slot = pool.pop();
        if (slot == kNoSlot) continue;
        ASSERT_EQ(held[slot].exchange(1), 0u);
        held[slot].store(0);
        pool.push(slot);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<uint32_t> slots;
  for (uint32_t slot = pool.pop(); slot != kNoSlot; slot = pool.pop()) slots.insert(slot);
  EXPECT_EQ(slots.size(), kSlots);
}

TEST(CompletionRing, goes_round_many_times_in_order) {
  CompletionRing ring;
  ASSERT_TRUE(ring.initialise(4));
  uint32_t records[4];
  for (uint32_t lap = 0; lap < 1000; ++lap) {
    for (uint32_t i = 0; i < 3; ++i) ring.push(lap + i);
    ASSERT_EQ(ring.take(records, 2), 2u);
    EXPECT_EQ(records[0], lap);
    EXPECT_EQ(records[1], lap + 1);
    ASSERT_EQ(ring.take(records, 4), 1u);
    EXPECT_EQ(records[0], lap + 2);
    EXPECT_EQ(ring.take(records, 4), 0u);
  }
}

TEST(CompletionRing, asks_for_one_wake_when_armed_and_for_none_while_the_consumer_looks) {
  CompletionRing ring;
  ASSERT_TRUE(ring.initialise(4));
  ring.disarm();
  ring.push(1);
  EXPECT_FALSE(ring.claim_wake());
  EXPECT_TRUE(ring.arm()) << "something came meanwhile";
  uint32_t record;
  ASSERT_EQ(ring.take(&record, 1), 1u);
  EXPECT_FALSE(ring.arm());
  ring.push(2);
  EXPECT_TRUE(ring.claim_wake());
  EXPECT_FALSE(ring.claim_wake());
}

TEST(CompletionRing, a_consumer_that_sleeps_until_it_is_woken_gets_everything_of_all_producers) {
  constexpr uint32_t kProducers = 3, kEach = 20'000, kCredits = 16;
  CompletionRing ring;
  ASSERT_TRUE(ring.initialise(64));
  std::atomic<uint32_t> word{0};
  std::atomic<uint32_t> credit[kProducers];
  for (auto& each : credit) each = kCredits;
  std::vector<std::thread> threads;
  for (uint32_t producer = 0; producer < kProducers; ++producer) {
    threads.emplace_back([&, producer] {
      for (uint32_t i = 0; i < kEach; ++i) {
        while (credit[producer].load(std::memory_order_acquire) == 0) std::this_thread::yield();
        credit[producer].fetch_sub(1);
        ring.push(producer * kEach + i);
        if (ring.claim_wake()) {
          word.fetch_add(1);
          futex_wake(&word);
        }
      }
    });
  }
  std::vector<uint32_t> next(kProducers, 0);
  uint32_t records[8];
  for (uint32_t seen = 0; seen < kProducers * kEach;) {
    const uint32_t before = word.load();
    ring.disarm();
    const uint32_t count = ring.take(records, 8);
    for (uint32_t i = 0; i < count; ++i) {
      ASSERT_EQ(records[i] % kEach, next[records[i] / kEach]++);
      credit[records[i] / kEach].fetch_add(1, std::memory_order_release);
    }
    seen += count;
    if (count > 0 || ring.arm()) continue;
    const int64_t until = monotonic_ns() + 5'000'000'000;
    while (word.load() == before && monotonic_ns() < until) futex_wait(&word, before, until);
    ASSERT_NE(word.load(), before) << "a wake was lost";
  }
  for (auto& thread : threads) thread.join();
}

TEST(LeaderToken, is_held_by_one_at_a_time) {
  LeaderToken token;
  EXPECT_TRUE(token.try_lock());
  EXPECT_TRUE(token.held());
  EXPECT_FALSE(token.try_lock());
  token.unlock();
  EXPECT_TRUE(token.try_lock());
}

TEST(Parking, a_wait_ends_at_its_time_and_clears_its_place) {
  Parking parking;
  EXPECT_FALSE(parking.wake_one());
  parking.prepare(3);
  EXPECT_TRUE(parking.any());
  const int64_t until = monotonic_ns() + 3'000'000;
  parking.wait(3, until);
  EXPECT_GE(monotonic_ns(), until);
  EXPECT_FALSE(parking.any());
}

TEST(Parking, a_wake_between_prepare_and_wait_is_not_lost_and_the_lowest_goes_first) {
  Parking parking;
  parking.prepare(5);
  parking.prepare(2);
  EXPECT_TRUE(parking.wake_one());
  parking.wait(2, INT64_MAX);  // returns at once
  EXPECT_TRUE(parking.any());
  parking.wake_all();
  parking.wait(5, INT64_MAX);
  EXPECT_FALSE(parking.any());
}

TEST(WakeGate, nobody_is_inside_once_it_is_closed) {
  for (int round = 0; round < 200; ++round) {
    WakeGate gate;
    std::atomic<bool> closed{false};
    std::atomic<bool> started{false};
    std::thread waker([&] {
      for (;;) {
        if (!gate.enter()) return;
        started.store(true);
        EXPECT_FALSE(closed.load());
        gate.leave();
      }
    });
    while (!started.load()) std::this_thread::yield();
    gate.close();
    closed.store(true);
    waker.join();
    EXPECT_FALSE(gate.enter());
  }
}

}  // namespace
}  // namespace subten
