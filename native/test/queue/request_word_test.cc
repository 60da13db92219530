#include "queue/request_word.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace subten {
namespace {

Phase phase(const RequestState& state) { return RequestWord::phase(state.load()); }

TEST(RequestState, only_the_current_generation_can_submit_and_only_once) {
  RequestState state;
  EXPECT_FALSE(state.submit(1));
  EXPECT_TRUE(state.submit(0));
  EXPECT_FALSE(state.submit(0));
  EXPECT_EQ(state.load(), RequestWord::make(0, Phase::kQueued, true, 1));
}

TEST(RequestState, a_request_runs_ends_and_frees_its_slot_when_js_lets_go) {
  RequestState state;
  ASSERT_TRUE(state.submit(0));
  EXPECT_FALSE(state.drop_js(0)) << "it is pending";
  EXPECT_TRUE(state.run());
  EXPECT_FALSE(state.run());
  EXPECT_TRUE(state.end(Phase::kResult));
  EXPECT_FALSE(state.end(Phase::kError)) << "the outcome is set once";
  EXPECT_EQ(phase(state), Phase::kResult);
  EXPECT_EQ(RequestWord::native_holds(state.load()), 0u);
  EXPECT_FALSE(state.drop_js(1)) << "another generation";
  EXPECT_TRUE(state.drop_js(0));
  EXPECT_FALSE(state.drop_js(0));
  EXPECT_EQ(state.recycle(), 1u);
  EXPECT_TRUE(state.submit(1));
}

TEST(RequestState, a_cancel_in_the_queue_leaves_the_slot_to_the_leader) {
  RequestState state;
  ASSERT_TRUE(state.submit(0));
  EXPECT_EQ(state.cancel(0), Cancelled::kFromQueue);
  EXPECT_EQ(state.cancel(0), Cancelled::kNotThere);
  EXPECT_FALSE(state.run());
  EXPECT_FALSE(state.end(Phase::kExpired));
  EXPECT_TRUE(state.drop_native()) << "js let go when it cancelled";
}

TEST(RequestState, a_cancel_of_a_running_request_settles_now_and_its_memory_follows) {
  RequestState state;
  ASSERT_TRUE(state.submit(0));
  ASSERT_TRUE(state.run());
  EXPECT_EQ(state.cancel(0), Cancelled::kFromRun);
  EXPECT_EQ(RequestWord::native_holds(state.load()), 1u);
  EXPECT_FALSE(state.end(Phase::kResult));
  EXPECT_TRUE(state.drop_native());
}

TEST(RequestState, a_late_cancel_does_not_hit_the_next_tenant) {
  RequestState state;
  ASSERT_TRUE(state.submit(0));
  ASSERT_TRUE(state.end(Phase::kExpired));
  ASSERT_TRUE(state.drop_js(0));
  ASSERT_TRUE(state.submit(state.recycle()));
  EXPECT_EQ(state.cancel(0), Cancelled::kNotThere);
  EXPECT_EQ(phase(state), Phase::kQueued);
}

TEST(RequestState, the_generation_wraps_round) {
  EXPECT_EQ(RequestWord::generation(RequestWord::make(UINT32_MAX, Phase::kIdle, false, 0)), UINT32_MAX);
  EXPECT_EQ(static_cast<uint32_t>(UINT32_MAX + 1), 0u);
}

TEST(RequestState, of_a_cancel_and_an_end_at_once_exactly_one_wins) {
  RequestState state;
  std::atomic<uint32_t> turn{0};
  std::atomic<uint32_t> ended{0}, freed{0};
  constexpr uint32_t kTurns = 20'000;
  std::atomic<uint32_t> ready{0};
  std::thread engine([&] {
    for (uint32_t i = 0; i < kTurns; ++i) {
      while (turn.load(std::memory_order_acquire) != i + 1) std::this_thread::yield();
      if (state.run()) {
        if (state.end(Phase::kResult)) {
          ended.fetch_add(1);
        } else {
          freed += state.drop_native() ? 1 : 0;
        }
      } else {
        freed += state.drop_native() ? 1 : 0;
      }
      ready.store(i + 1, std::memory_order_release);
    }
  });
  uint32_t cancelled = 0, dropped = 0;
  for (uint32_t i = 0; i < kTurns; ++i) {
    ASSERT_TRUE(state.submit(i));
    turn.store(i + 1, std::memory_order_release);
    const bool gone = state.cancel(i) != Cancelled::kNotThere;
    while (ready.load(std::memory_order_acquire) != i + 1) std::this_thread::yield();
    cancelled += gone ? 1 : 0;
    if (!gone) dropped += state.drop_js(i) ? 1 : 0;
    ASSERT_EQ(state.load() & RequestWord::kHolds, 0u);
    state.recycle();
  }
  engine.join();
  EXPECT_EQ(cancelled + ended.load(), kTurns);
  EXPECT_EQ(freed.load(), cancelled);
  EXPECT_EQ(dropped, ended.load());
}

}  // namespace
}  // namespace subten
