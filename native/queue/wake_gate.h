// The gate in front of a port's wake function: once it is closed, no native thread touches that function again, and
// none is still inside: what it would wake is freed with the environment.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace subten {

class WakeGate {
 public:
  // True: the caller is inside and must call leave().
  bool enter() noexcept {
    // seq_cst: pairs with close(): either the closer counts this entrant, or the entrant sees the gate closed.
    if (state_.fetch_add(1, std::memory_order_seq_cst) & kClosed) {  // model: gate.enter
      leave();
      return false;
    }
    return true;
  }
  void leave() noexcept { state_.fetch_sub(1, std::memory_order_release); }  // model: gate.leave

  // Closes the gate and waits until nobody is inside: the time of one non-blocking call.
  void close() noexcept {
    state_.fetch_or(kClosed, std::memory_order_seq_cst);                               // model: gate.close
    while ((state_.load(std::memory_order_acquire) & ~kClosed) != 0) ::sched_yield();  // model: gate.close.wait
  }

 private:
  static constexpr uint32_t kClosed = 1u << 31;
  std::atomic<uint32_t> state_{0};
};

}  // namespace subten
