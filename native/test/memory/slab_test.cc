#include "memory/slab.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace subten {
namespace {

std::shared_ptr<Slab> make(uint64_t bytes) {
  std::shared_ptr<Slab> slab;
  const Status status = Slab::create(bytes, &slab);
  EXPECT_TRUE(status.is_ok()) << status.message;
  return slab;
}

TEST(Slab, a_size_of_nothing_or_beyond_64_gib_is_refused) {
  std::shared_ptr<Slab> slab;
  EXPECT_EQ(Slab::create(0, &slab).code, Code::kConfigInvalid);
  EXPECT_EQ(Slab::create((uint64_t{64} << 30) + 1, &slab).code, Code::kConfigInvalid);
  EXPECT_EQ(Slab::create(UINT64_MAX, &slab).code, Code::kConfigInvalid);
}

TEST(Slab, extents_are_aligned_and_their_bytes_are_counted) {
  const auto slab = make(1 << 20);
  const uint64_t empty = slab->allocate(0);
  const uint64_t large = slab->allocate(1000);
  EXPECT_EQ(empty % Slab::kAlignment, 0u);
  EXPECT_EQ(large % Slab::kAlignment, 0u);
  EXPECT_NE(empty, large);
  EXPECT_EQ(slab->used(), 64u + 1024u);
  slab->release(empty);
  slab->release(large);
  EXPECT_EQ(slab->used(), 0u);
}

TEST(Slab, an_extent_lives_until_its_last_reference_goes) {
  const auto slab = make(4096);
  const uint64_t offset = slab->allocate(4096);
  ASSERT_NE(offset, Slab::kNowhere);
  slab->retain(offset, 2);
  slab->release(offset);
  slab->release(offset);
  EXPECT_EQ(slab->allocate(64), Slab::kNowhere);
  slab->release(offset);
  EXPECT_EQ(slab->allocate(64), offset);
}

TEST(Slab, small_free_extents_are_joined_when_a_large_one_is_asked_for) {
  const auto slab = make(1 << 20);
  std::vector<uint64_t> extents;
  for (uint64_t extent = slab->allocate(64); extent != Slab::kNowhere; extent = slab->allocate(64))
    extents.push_back(extent);
  EXPECT_EQ(extents.size(), (1u << 20) / 64);
  EXPECT_EQ(slab->allocate(1), Slab::kNowhere);
  for (const uint64_t extent : extents) slab->release(extent);
  EXPECT_NE(slab->allocate(1 << 20), Slab::kNowhere);
}

TEST(Slab, more_than_there_is_is_refused_without_harm) {
  const auto slab = make(1 << 16);
  EXPECT_EQ(slab->allocate((1 << 16) + 1), Slab::kNowhere);
  EXPECT_EQ(slab->allocate(UINT64_MAX), Slab::kNowhere);
  EXPECT_EQ(slab->used(), 0u);
}

TEST(Slab, threads_never_share_an_extent_and_everything_comes_back) {
  const auto slab = make(1 << 20);
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(thread + 1);
      std::vector<std::pair<uint64_t, uint32_t>> mine;
      for (uint32_t step = 0; step < 20'000; ++step) {
        if (mine.size() < 40 && random() % 2 == 0) {
          const uint32_t bytes = 64 * (1 + random() % (random() % 16 == 0 ? 400 : 12));
          const uint64_t offset = slab->allocate(bytes);
          if (offset == Slab::kNowhere) continue;
          std::memset(slab->data() + offset, static_cast<int>(thread + 1), bytes);
          mine.emplace_back(offset, bytes);
        } else if (!mine.empty()) {
          const size_t at = random() % mine.size();
          const auto [offset, bytes] = mine[at];
          for (uint32_t i = 0; i < bytes; i += 64) {
            ASSERT_EQ(std::to_integer<uint32_t>(slab->data()[offset + i]), thread + 1);
          }
          slab->release(offset);
          mine[at] = mine.back();
          mine.pop_back();
        }
      }
      for (const auto& [offset, bytes] : mine) slab->release(offset);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(slab->used(), 0u);
  EXPECT_NE(slab->allocate(1 << 20), Slab::kNowhere);
}

}  // namespace
}  // namespace subten
