// Ends a run from another thread, and only that run.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace subten {

// begin() and end() come from the thread that runs, stop() from any other. A stop that comes between runs does nothing,
// and one that races the end of a run never reaches the next.
class RunSwitch {
 public:
  // seq_cst: a release for stop(), and the engine then looks whether anybody waits, as whoever gives the last request
  // up does so before it calls stop(): one of the two sees the other.
  void begin() noexcept { state_.store(State::kRunning, std::memory_order_seq_cst); }

  // True when the run was stopped, and the switch of the library has to be set back.
  bool end() noexcept {
    State running = State::kRunning;
    if (state_.compare_exchange_strong(running, State::kIdle, std::memory_order_acq_rel)) return false;
    // A stop is under way: its call into the library takes some nanoseconds. Acquire pairs with its last release.
    while (state_.load(std::memory_order_acquire) != State::kStopped) std::this_thread::yield();
    state_.store(State::kIdle, std::memory_order_release);
    return true;
  }

  // Calls `set` if a run is on and has not been stopped yet.
  template <typename Set>
  void stop(Set set) noexcept {
    State running = State::kRunning;
    // seq_cst: pairs with begin().
    if (!state_.compare_exchange_strong(running, State::kStopping, std::memory_order_seq_cst)) return;
    set();
    state_.store(State::kStopped, std::memory_order_release);  // pairs with the acquire in end()
  }

 private:
  enum class State : uint8_t { kIdle, kRunning, kStopping, kStopped };
  std::atomic<State> state_{State::kIdle};
};

}  // namespace subten
