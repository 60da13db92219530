// Predicts, when a request is submitted, when it would end, and refuses what would be late. Wait-free: submitters read
// what the leader publishes, and count their rows into buckets by due time.
//
// Two questions: would this request end in time behind those that go before it, as batches go; and would those that go
// behind it still end in time, as a fluid at the best rate. The second keeps a burst of urgent requests from pushing
// out what was promised before.
#pragma once

#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>

#include "schedule/latency_model.h"

namespace subten {

class Admission {
 public:
  static constexpr uint32_t kLevels = 4;    // lower priorities count as the last of these
  static constexpr uint32_t kBuckets = 64;  // of an eighth of the target: eight targets ahead
  static constexpr uint8_t kFar = kBuckets;
  static constexpr uint8_t kNone = 255;
  static constexpr int64_t kAway = INT64_MAX;

  // `latency` must outlive this. False without memory.
  bool initialise(int64_t target_ns, uint32_t batch_capacity, uint32_t instances, const LatencyModel* latency) noexcept;

  struct Verdict {
    bool admitted = true;
    bool crowded = false;      // refused because others, admitted before, would be late for it
    uint8_t bucket = kNone;    // where the rows were counted, if it was admitted
    int64_t predicted_ns = 0;  // how long from now until it would end; 0: nothing is known
  };
  // Any thread. `due_ns`: when it must have ended.
  Verdict admit(uint32_t level, uint32_t rows, int64_t due_ns, uint32_t shape_class, int64_t now_ns) noexcept;
  // Any thread: rows that were counted in `bucket` wait no longer. Once for each admitted request.
  void leave(uint32_t level, uint32_t rows, uint8_t bucket) noexcept;

  // Leader: the instances that may run, and rows a nanosecond that come in.
  void publish(uint32_t active_instances, double arrival_rate) noexcept {
    active_.store(active_instances, std::memory_order_relaxed);
    arrival_rate_.store(arrival_rate, std::memory_order_relaxed);
  }
  // Leader: rows that a batch has to which no further request could be added.
  void publish_fill(double rows) noexcept { fill_.store(rows, std::memory_order_relaxed); }
  // Leader: how much sooner than it is due a request must be predicted to end that has others before it.
  void publish_margin(int64_t margin_ns) noexcept { margin_ns_.store(margin_ns, std::memory_order_relaxed); }
  // Leader: the share of all instances' time that goes to priorities above `level`.
  void publish_share_above(uint32_t level, double share) noexcept {
    levels_[level_index(level)].share_above.store(share, std::memory_order_relaxed);
  }
  // Rows that were admitted at this level, ever.
  uint64_t admitted_rows(uint32_t level) const noexcept {
    return levels_[level_index(level)].admitted_rows.load(std::memory_order_relaxed);
  }
  // Leader: `instance` runs a batch that should end at `until_ns`. Any thread: it has ended.
  void runs(uint32_t instance, int64_t until_ns) noexcept {
    busy_until_[instance].store(until_ns, std::memory_order_relaxed);
  }
  // It is not in use, or it was not until now.
  void goes_away(uint32_t instance) noexcept { runs(instance, kAway); }
  bool is_away(uint32_t instance) const noexcept {
    return busy_until_[instance].load(std::memory_order_relaxed) == kAway;
  }
  void rests(uint32_t instance) noexcept { busy_until_[instance].store(0, std::memory_order_relaxed); }
  // When the first instance but `except` is free: `now_ns` where one is idle, INT64_MAX where there is no other.
  int64_t first_free_ns(int64_t now_ns, uint32_t except = UINT32_MAX) const noexcept;

  uint64_t admitted() const noexcept { return admitted_.load(std::memory_order_relaxed); }
  uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  double arrival_rate() const noexcept { return arrival_rate_.load(std::memory_order_relaxed); }
  uint32_t active() const noexcept { return active_.load(std::memory_order_relaxed); }
  // Rows that were admitted and wait.
  uint64_t waiting_rows() const noexcept;

 private:
  struct Ahead {
    uint64_t before = 0;  // rows that go first
    uint64_t after = 0;   // rows that go behind
  };
  uint32_t level_index(uint32_t level) const noexcept { return level > kLevels ? kLevels - 1 : level - 1; }
  uint8_t bucket_of(int64_t due_ns, int64_t now_ns) const noexcept;
  Ahead look(uint32_t level, uint8_t bucket, int64_t now_ns) const noexcept;
  // How full batches follow one another.
  struct Pace {
    int64_t free_ns;  // when the first of them starts
    double step_ns;   // from one to the next
    int64_t high_ns;  // what one takes
    double rows;      // in one
    // When the batch starts that has the row with so many before it.
    int64_t start_ns(uint64_t before) const noexcept {
      return free_ns + static_cast<int64_t>(std::floor(static_cast<double>(before) / rows) * step_ns);
    }
  };
  bool pushes_out(uint32_t level, uint8_t bucket, uint64_t sum, const Pace& pace, int64_t now_ns) const noexcept;

  struct alignas(64) Level {
    std::array<std::atomic<uint32_t>, kBuckets + 1> rows{};
    std::atomic<uint64_t> admitted_rows{0};
    std::atomic<double> share_above{0};
  };
  std::array<Level, kLevels> levels_{};
  alignas(64) std::atomic<double> arrival_rate_{0};
  std::atomic<double> fill_{1};
  std::atomic<int64_t> margin_ns_{0};
  std::atomic<uint32_t> active_{1};
  std::unique_ptr<std::atomic<int64_t>[]> busy_until_;
  uint32_t instances_ = 1;
  uint32_t capacity_ = 1;
  int64_t target_ns_ = 0;
  int64_t width_ns_ = 1;
  const LatencyModel* latency_ = nullptr;
  alignas(64) std::atomic<uint64_t> admitted_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<bool> refusing_{false};
};

}  // namespace subten
