// One thread for the whole process, while a model is open, that measures what happens to threads beside their work: how
// late a sleeper wakes, when the event loops stand still or have no processor, and when the cgroup's CPU quota is used
// up. What it saw is kept in rings; a slow request is laid over them (src/flight).
//
// It looks every 5 ms while batches run and every 20 ms otherwise.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "flight/cgroup_throttle.h"
#include "flight/thread_meter.h"

namespace subten {

class FlightRecorder;

// The last entries of a kind; the owner locks.
template <typename T, size_t kSize>
class LastOnes {
 public:
  void push(const T& entry) noexcept { entries_[count_++ % kSize] = entry; }
  void read(std::vector<T>* out) const {
    for (uint64_t i = count_ > kSize ? count_ - kSize : 0; i < count_; ++i) out->push_back(entries_[i % kSize]);
  }

 private:
  std::array<T, kSize> entries_{};
  uint64_t count_ = 0;
};

// This thread was to wake at `due_ns` and woke at `woke_ns`.
struct LateWake {
  int64_t due_ns;
  int64_t woke_ns;
  int64_t throttled_us;  // by how much the throttled time of the cgroup grew since it was last read
  int64_t delay_ns;      // for how long this thread waited for a processor
};
// An event loop was in one turn from about `start_ns` on, or had no processor.
struct LoopStall {
  uint32_t loop;
  bool turn;  // false: it only waited for a processor
  int64_t start_ns;
  int64_t end_ns;
  int64_t delay_ns;  // for how long of it its thread waited for a processor
};
struct HostSample {
  int64_t at_ns;
  int64_t throttled_us;  // in all, as the two below
  int64_t major_faults;
  int64_t preempted;  // of the process
};

class HostWatch {
 public:
  using IdleTime = uint64_t (*)(void* loop);

  // While there is a recorder the thread is at work. Never fails: without a thread nothing is seen.
  void add(const FlightRecorder* recorder) noexcept;
  void remove(const FlightRecorder* recorder) noexcept;

  // Watches an event loop. `idle` says for how many nanoseconds the loop has slept so far, from any thread; `turns` is
  // counted up in each turn. The number of the loop; several calls for one loop give the same. After leave_loop() with
  // the same `turns` neither is touched any more.
  uint32_t watch_loop(void* loop, IdleTime idle, const std::atomic<uint64_t>* turns, int thread_id) noexcept;
  void leave_loop(void* loop, const std::atomic<uint64_t>* turns) noexcept;

  // The process exits: nothing is looked at any more.
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }

  struct Seen {
    std::vector<LateWake> late;
    std::vector<LoopStall> stalls;
    std::vector<HostSample> samples;
  };
  Seen seen() const;

 private:
  struct Loop {
    void* loop = nullptr;
    IdleTime idle = nullptr;
    std::vector<const std::atomic<uint64_t>*> turns;
    uint32_t number = 0;
    int schedstat = -1;
    int64_t looked_ns = 0;
    int64_t idle_ns = 0;
    uint64_t turned = 0;
    int64_t delay_ns = 0;
    LoopStall stall{};  // end_ns 0: none is on
  };
  void run() noexcept;
  bool look(int64_t due_ns) noexcept;
  void look_at(Loop* loop, int64_t now_ns) noexcept;
  void begin(Loop* loop, int64_t now_ns) const noexcept;

  mutable std::mutex mutex_;
  std::vector<const FlightRecorder*> recorders_;
  std::vector<Loop> loops_;
  uint32_t last_number_ = 0;
  bool started_ = false;
  std::atomic<uint32_t> word_{0};
  std::atomic<bool> stopped_{false};
  uint64_t batches_ = 0;
  int64_t active_ns_ = 0;
  int64_t sampled_ns_ = 0;
  int64_t found_ns_ = 0;
  int64_t throttled_us_ = 0;
  CgroupThrottle throttle_;
  ThreadMeter meter_;
  LastOnes<LateWake, 1024> late_;
  LastOnes<LoopStall, 1024> stalls_;
  LastOnes<HostSample, 1024> samples_;
};

}  // namespace subten
