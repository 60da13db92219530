#include "flight/slow_log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "flight/cgroup_throttle.h"

namespace subten {
namespace {

constexpr int64_t kMinuteNs = 60'000'000'000;

SlowRequest request_of(int64_t total_ns, int64_t resolved_ns) {
  SlowRequest request;
  request.submit_ns = resolved_ns - total_ns;
  request.resolved_ns = resolved_ns;
  return request;
}

TEST(SlowLog, keeps_the_last_ones_and_the_slowest_of_each_minute) {
  SlowLog log;
  ASSERT_TRUE(log.initialise());
  SlowRequest slowest = request_of(9'000'000, kMinuteNs);
  ASSERT_TRUE(log.keep(&slowest));
  for (uint32_t i = 0; i < SlowLog::kRecent; ++i) {
    SlowRequest request = request_of(1'000'000, kMinuteNs + 1);
    ASSERT_TRUE(log.keep(&request));
  }
  std::vector<SlowRequest> kept;
  log.read(0, &kept);
  ASSERT_FALSE(kept.empty());
  EXPECT_EQ(kept.front().sequence, 1u) << "out of the ring, but the slowest of its minute";
  EXPECT_EQ(kept.front().total_ns(), 9'000'000);
  std::set<uint64_t> numbers;
  for (const SlowRequest& each : kept) EXPECT_TRUE(numbers.insert(each.sequence).second) << "each once";
  EXPECT_GE(kept.size(), SlowLog::kRecent);

  kept.clear();
  log.read(log.latest() - 2, &kept);
  EXPECT_EQ(kept.size(), 2u);

  // Ten minutes later its place is another's.
  SlowRequest later = request_of(1'000, kMinuteNs * (1 + SlowLog::kMinutes));
  ASSERT_TRUE(log.keep(&later));
  kept.clear();
  log.read(0, &kept);
  EXPECT_NE(kept.front().sequence, 1u);
}

TEST(SlowLog, takes_a_bounded_number_a_second_and_always_what_is_slowest) {
  SlowLog log;
  ASSERT_TRUE(log.initialise());
  int wanted = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (!log.wants(1'000'000, kMinuteNs + i * 1000)) continue;
    ++wanted;
    SlowRequest request = request_of(1'000'000, kMinuteNs + i * 1000);
    log.keep(&request);
  }
  EXPECT_LE(wanted, SlowLog::kBurst + 10);
  EXPECT_GE(wanted, SlowLog::kBurst);
  EXPECT_TRUE(log.wants(2'000'000, kMinuteNs + 10'000'000));
}

TEST(SlowLog, environments_keep_while_others_read) {
  SlowLog log;
  ASSERT_TRUE(log.initialise());
  std::atomic<uint64_t> kept{0};
  std::atomic<bool> over{false};
  const auto keep = [&] {
    for (int own = 0, i = 1; own < 1'000; ++i) {
      SlowRequest request = request_of(i, kMinuteNs);
      request.rows = static_cast<uint32_t>(i);
      if (log.keep(&request)) {
        ++own;
        ++kept;
      } else {
        std::this_thread::yield();  // whoever has the lock may not be running
      }
    }
  };
  std::thread reader([&] {
    while (!over.load()) {
      std::vector<SlowRequest> seen;
      log.read(0, &seen);
      for (const SlowRequest& each : seen) ASSERT_EQ(each.total_ns(), each.rows);
    }
  });
  std::thread one(keep), other(keep);
  one.join();
  other.join();
  over = true;
  reader.join();
  EXPECT_EQ(kept.load(), 2'000u);
  EXPECT_EQ(log.latest(), kept.load());
}

TEST(CgroupThrottle, adds_up_every_level_of_both_versions) {
  std::string root = testing::TempDir() + "throttle-" + std::to_string(::getpid());
  for (const char* folder : {"", "/proc", "/proc/self", "/sys", "/sys/fs", "/sys/fs/cgroup", "/sys/fs/cgroup/a",
                             "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu/b"}) {
    ::mkdir((root + folder).c_str(), 0700);
  }
  const auto write = [&](const char* path, const char* text) { std::ofstream(root + path) << text; };
  write("/proc/self/cgroup", "3:cpuacct,cpu:/b\n0::/a\n");
  write("/sys/fs/cgroup/a/cpu.stat", "usage_usec 9\nnr_throttled 2\nthrottled_usec 700\n");
  write("/sys/fs/cgroup/cpu/b/cpu.stat", "nr_periods 9\nnr_throttled 1\nthrottled_time 50000\n");
  CgroupThrottle throttle(root);
  EXPECT_EQ(throttle.throttled_us(), 0);
  throttle.find();
  EXPECT_EQ(throttle.throttled_us(), 750);
  write("/sys/fs/cgroup/a/cpu.stat", "throttled_usec 900\n");
  EXPECT_EQ(throttle.throttled_us(), 950);
}

}  // namespace
}  // namespace subten
