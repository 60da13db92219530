// Instances that come and go: between count_min and count_max of them are active.
//
// Each place of an instance has a state, and for synchronous engines a thread that sleeps while the place is not in
// use: it makes its engine instance when it is asked to work and destroys it when it is not needed any more.
// Asynchronous engines have no threads here: their engine instances are made at load, and only the number that is
// offered changes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace subten {

struct CoreOptions;

class Elastic {
 public:
  static constexpr int64_t kGrowthPauseNs = 100'000'000;      // between two growths
  static constexpr int64_t kFailurePauseNs = 10'000'000'000;  // after an instance could not be made
  static constexpr uint32_t kNoPlace = UINT32_MAX;

  // `idle_ns`: an instance that had nothing to do for so long is not needed.
  Elastic(uint32_t least, uint32_t most, int64_t idle_ns);

  uint32_t active() const noexcept { return active_.load(std::memory_order_relaxed); }
  bool above_least() const noexcept { return active() > least_; }
  int64_t idle_ns() const noexcept { return idle_ns_; }
  uint32_t least() const noexcept { return least_; }

  // At load: the place has its engine instance. Places are taken from 0 on.
  void begin(uint32_t place) noexcept;
  // Places from this one on cannot be used: there is no thread, or no engine instance, for them.
  void limit(uint32_t places) noexcept;

  // A leader has formed a batch. `all_run`: it left requests behind, and no instance is idle. True when that has been
  // so for longer than a batch takes, so that another instance should begin. Any thread; true for one thread at a time.
  bool should_grow(bool all_run, int64_t now_ns, int64_t batch_ns) noexcept;
  // Asks the lowest place that is not in use to begin, for a synchronous engine.
  void ask() noexcept;
  // The same for asynchronous engines, where nothing needs to be made: the place, or kNoPlace.
  uint32_t offer(int64_t now_ns) noexcept;
  void began(uint32_t place, int64_t now_ns) noexcept;
  // Its engine instance could not be made. True for the first time.
  bool failed(uint32_t place, int64_t now_ns) noexcept;
  // The place is not needed. False: it is, there would be fewer than the least.
  bool leave(uint32_t place) noexcept;

  bool active_at(uint32_t place) const noexcept { return word(place).load(std::memory_order_acquire) == kActive; }
  // The thread of a place that is not in use sleeps until the place is asked for (true) or the core stops (false).
  bool sleep(uint32_t place, const std::atomic<bool>& stopping) noexcept;
  // The core stops, and has said so in `stopping`.
  void wake_all() noexcept;

  // Asynchronous engines: when a place was last used.
  void used(uint32_t place, int64_t now_ns) noexcept { used_[place].store(now_ns, std::memory_order_relaxed); }
  int64_t used_ns(uint32_t place) const noexcept { return used_[place].load(std::memory_order_relaxed); }

  // Held while an engine instance is put into a batch or taken out, and while another thread looks at one.
  std::mutex& instances() noexcept { return instances_; }

 private:
  enum State : uint32_t { kAsleep = 0, kAsked, kActive };
  const std::atomic<uint32_t>& word(uint32_t place) const noexcept { return words_[place]; }
  uint32_t take_place(uint32_t state) noexcept;

  const uint32_t least_;
  const int64_t idle_ns_;
  const int64_t growth_pause_ns_;  // no longer than idle_ns_, so that tests which inject that need not wait
  std::atomic<uint32_t> places_;
  std::atomic<uint32_t> active_{0};
  std::atomic<int64_t> behind_since_{0};  // since when leaders leave requests behind; 0: they do not
  std::atomic<int64_t> next_growth_ns_{0};
  std::atomic<bool> growing_{false};  // one at a time: making an instance may take seconds
  std::atomic<bool> failed_{false};
  std::vector<std::atomic<uint32_t>> words_;  // futexes
  std::vector<std::atomic<int64_t>> used_;
  std::mutex instances_;
};

}  // namespace subten
