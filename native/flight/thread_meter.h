// What the calling thread has used and missed: processor time, time in which it could run and had no processor, page
// faults that went to a disk, and how often it was preempted. A reading costs about 2 µs (three system calls).
#pragma once

#include <cstdint>

namespace subten {

struct ThreadUse {
  int64_t since_ns = 0;  // 0: not measured
  int64_t cpu_ns = 0;
  int64_t delay_ns = 0;
  uint32_t major_faults = 0;
  uint32_t preempted = 0;
};

// Of one thread, by that thread.
class ThreadMeter {
 public:
  ThreadMeter() = default;
  ThreadMeter(const ThreadMeter&) = delete;
  ThreadMeter& operator=(const ThreadMeter&) = delete;
  ~ThreadMeter();

  // Since the reading before, which the next one starts from; the first one has nothing to say.
  ThreadUse read(int64_t now_ns) noexcept;
  // When it was last read; 0: never.
  int64_t read_ns() const noexcept { return last_.since_ns; }
  // Only begins anew, unless the last reading is younger than `age_ns`.
  void refresh(int64_t now_ns, int64_t age_ns) noexcept {
    if (now_ns - last_.since_ns >= age_ns) read(now_ns);
  }

 private:
  ThreadUse last_;  // totals of the thread
  int file_ = -2;   // schedstat of the thread; -1: there is none
};

// Nanoseconds that the thread of a schedstat file waited for a processor in all; -1: not known.
int64_t read_run_delay(int file) noexcept;
// schedstat of a thread of this process, opened; -1 where the kernel has none.
int open_run_delay(int thread_id) noexcept;

}  // namespace subten
