#include "executor/host_watch.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "flight/flight_recorder.h"
#include "metrics/clock.h"

namespace subten {
namespace {

// A loop as HostWatch sees one. Never destroyed, as its thread stays.
struct Watched {
  HostWatch watch;
  FlightRecorder recorder;
  std::atomic<uint64_t> turns{0};
  static inline std::atomic<uint64_t> idle_ns{0};
  static uint64_t idle(void*) { return idle_ns.load(); }

  static Watched& make() {
    auto* watched = new Watched();
    EXPECT_TRUE(watched->recorder.initialise(1));
    watched->number =
        watched->watch.watch_loop(watched, idle, &watched->turns, static_cast<int>(::syscall(SYS_gettid)));
    watched->watch.add(&watched->recorder);
    return *watched;
  }
  // Turns and sleeps for so long: what a loop with nothing to do shows.
  void rest(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
      const int64_t before = monotonic_ns();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      idle_ns += static_cast<uint64_t>(monotonic_ns() - before);
      turns += 1;
    }
  }
  uint32_t number = 0;
};

TEST(HostWatch, a_loop_that_neither_sleeps_nor_turns_stands_still) {
  Watched& watched = Watched::make();
  watched.rest(std::chrono::milliseconds(60));
  const int64_t from = monotonic_ns();
  const int64_t until = from + 60'000'000;
  while (monotonic_ns() < until) {
  }
  const int64_t to = monotonic_ns();
  watched.turns += 1;
  watched.rest(std::chrono::milliseconds(60));
  int64_t longest = 0;
  LoopStall found{};
  for (const LoopStall& stall : watched.watch.seen().stalls) {
    if (!stall.turn || stall.end_ns - stall.start_ns <= longest) continue;
    longest = stall.end_ns - stall.start_ns;
    found = stall;
  }
  EXPECT_EQ(found.loop, watched.number);
  // To the period of a look; a busy machine makes the time longer, not the agreement worse.
  EXPECT_LE(std::max(found.start_ns, from) + 30'000'000, std::min(found.end_ns, to));
  watched.watch.leave_loop(&watched, &watched.turns);
  watched.watch.remove(&watched.recorder);
}

TEST(HostWatch, one_loop_has_one_number_however_many_ports_it_has) {
  Watched& watched = Watched::make();
  std::atomic<uint64_t> other{0};
  EXPECT_EQ(watched.watch.watch_loop(&watched, Watched::idle, &other, 1), watched.number);
  watched.watch.leave_loop(&watched, &watched.turns);
  watched.watch.leave_loop(&watched, &other);
  EXPECT_NE(watched.watch.watch_loop(&watched, Watched::idle, &other, 1), watched.number) << "all had left";
  watched.watch.leave_loop(&watched, &other);
  watched.watch.remove(&watched.recorder);
}

TEST(HostWatch, loops_and_models_come_and_go_while_it_looks) {
  Watched& watched = Watched::make();
  const auto come_and_go = [&] {
    for (int i = 0; i < 200; ++i) {
      std::atomic<uint64_t> turns{0};
      FlightRecorder recorder;
      ASSERT_TRUE(recorder.initialise(1));
      watched.watch.watch_loop(&turns, Watched::idle, &turns, static_cast<int>(::syscall(SYS_gettid)));
      watched.watch.add(&recorder);
      (void)watched.watch.seen();
      watched.watch.remove(&recorder);
      watched.watch.leave_loop(&turns, &turns);
    }
  };
  std::thread one(come_and_go), other(come_and_go);
  one.join();
  other.join();
  watched.watch.leave_loop(&watched, &watched.turns);
  watched.watch.remove(&watched.recorder);
}

}  // namespace
}  // namespace subten
