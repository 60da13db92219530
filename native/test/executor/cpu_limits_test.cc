#include "executor/cpu_limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "executor/process_state.h"

namespace subten {
namespace {

class CpuLimitsTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("subten-cpus-" + std::to_string(::getpid()));
    write("proc/self/cgroup", "");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  CpuLimits read() const { return read_cpu_limits(root_.string()); }
  std::filesystem::path root_;
};

TEST_F(CpuLimitsTest, without_a_quota_the_affinity_counts) {
  EXPECT_EQ(read().quota, 0);
  EXPECT_EQ(read().used, read().affinity);
  EXPECT_GE(read().used, 1u);
}

TEST_F(CpuLimitsTest, the_smallest_quota_between_the_group_and_the_root_counts) {
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  write("sys/fs/cgroup/cpu.max", "400000 100000\n");
  write("sys/fs/cgroup/a/b/cpu.stat", "usage_usec 5\nnr_throttled 7\n");
  EXPECT_DOUBLE_EQ(read().quota, 0.5);
  EXPECT_EQ(read().used, 1u);
  EXPECT_EQ(read().throttled, 7u);
}

TEST_F(CpuLimitsTest, version_1_is_read_too_and_minus_one_means_none) {
  write("proc/self/cgroup", "4:cpuset:/x\n3:cpu,cpuacct:/c\n");
  write("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read().quota, 0);
  write("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "150000\n");
  EXPECT_DOUBLE_EQ(read().quota, 1.5);
  EXPECT_LE(read().used, 2u);
}

TEST_F(CpuLimitsTest, files_that_say_nothing_sensible_are_passed_over) {
  write("proc/self/cgroup", "nonsense\n0::/\n::\n");
  write("sys/fs/cgroup/cpu.max", "many few\n");
  EXPECT_EQ(read().quota, 0);
}

TEST(SpinBudgetTest, on_one_processor_nobody_spins) {
  SpinBudget budget(1);
  EXPECT_FALSE(budget.acquire());
}

TEST(SpinBudgetTest, spinners_leave_a_processor_to_the_event_loop_and_one_to_each_run) {
  SpinBudget budget(3);
  EXPECT_TRUE(budget.acquire());
  EXPECT_TRUE(budget.acquire());
  EXPECT_FALSE(budget.acquire());
  budget.computing(1);
  EXPECT_TRUE(budget.exhausted());
  budget.release();
  EXPECT_FALSE(budget.exhausted());
  EXPECT_FALSE(budget.acquire());
  budget.computing(-1);
  EXPECT_TRUE(budget.acquire());
}

}  // namespace
}  // namespace subten
