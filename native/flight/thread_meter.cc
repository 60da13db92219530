#include "flight/thread_meter.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace subten {

ThreadMeter::~ThreadMeter() {
  if (file_ >= 0) ::close(file_);
}

// Fields (Documentation/scheduler/sched-stats.rst): time on a processor, time waiting for one, timeslices.
int64_t read_run_delay(int file) noexcept {
  if (file < 0) return -1;
  std::array<char, 96> text;
  const ssize_t length = ::pread(file, text.data(), text.size() - 1, 0);
  if (length <= 0) return -1;
  text[static_cast<size_t>(length)] = 0;
  char* second = nullptr;
  std::strtoll(text.data(), &second, 10);
  return std::strtoll(second, nullptr, 10);
}

int open_run_delay(int thread_id) noexcept {
  std::array<char, 64> path;
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/schedstat", thread_id);
  return ::open(path.data(), O_RDONLY | O_CLOEXEC);
}

ThreadUse ThreadMeter::read(int64_t now_ns) noexcept {
  if (file_ == -2) file_ = open_run_delay(static_cast<int>(::syscall(SYS_gettid)));
  ThreadUse now{.since_ns = now_ns};
  timespec cpu{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  now.cpu_ns = int64_t{cpu.tv_sec} * 1'000'000'000 + cpu.tv_nsec;
  now.delay_ns = read_run_delay(file_);
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  now.major_faults = static_cast<uint32_t>(usage.ru_majflt);
  now.preempted = static_cast<uint32_t>(usage.ru_nivcsw);
  const ThreadUse before = last_;
  last_ = now;
  if (before.since_ns == 0) return {};
  return {.since_ns = before.since_ns,
          .cpu_ns = now.cpu_ns - before.cpu_ns,
          .delay_ns = now.delay_ns - before.delay_ns,
          .major_faults = now.major_faults - before.major_faults,
          .preempted = now.preempted - before.preempted};
}

}  // namespace subten
