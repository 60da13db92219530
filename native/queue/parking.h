// Where idle instances sleep, and how one of them is woken.
//
// An instance that finds nothing to do sets its bit in `parked`, looks once more, and waits on a futex of its own.
// A waker clears one bit and wakes that instance; a submitter that finds no bit set pays one load and no system call.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <climits>
#include <cstdint>

namespace subten {

// Tells the processor that this is a loop that waits.
inline void pause_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// futex(2), private to the process. `until_ns` is an absolute CLOCK_MONOTONIC time, INT64_MAX for none.
inline void futex_wait(std::atomic<uint32_t>* word, uint32_t while_value, int64_t until_ns) noexcept {
  timespec until{static_cast<time_t>(until_ns / 1'000'000'000), static_cast<long>(until_ns % 1'000'000'000)};
  // model: futex.wait
  ::syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, while_value, until_ns == INT64_MAX ? nullptr : &until, nullptr,
            FUTEX_BITSET_MATCH_ANY);
}
inline void futex_wake(std::atomic<uint32_t>* word, int count = 1) noexcept {
  ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

class Parking {
 public:
  static constexpr uint32_t kPlaces = 64;

  // Step 1 of parking: say so. The caller then looks once more for work, and calls either wait() or cancel().
  void prepare(uint32_t place) noexcept {
    places_[place].word.store(0, std::memory_order_relaxed);
    // seq_cst: pairs with wake_one(): either the waker sees the bit, or the parking instance sees the work.
    parked_.fetch_or(bit(place), std::memory_order_seq_cst);  // model: parking.prepare
  }

  // Sleeps until woken or until `until_ns`. On return the bit is clear. False: no waker had cleared it, so nobody
  // relies on this instance to look.
  bool wait(uint32_t place, int64_t until_ns) noexcept {
    futex_wait(&places_[place].word, 0, until_ns);  // model: parking.wait, parking.wait.timer
    return (parked_.fetch_and(~bit(place), std::memory_order_acq_rel) & bit(place)) == 0;
  }

  // model: parking.cancel
  void cancel(uint32_t place) noexcept { parked_.fetch_and(~bit(place), std::memory_order_acq_rel); }

  bool any() const noexcept { return parked_.load(std::memory_order_seq_cst) != 0; }  // model: parking.any

  // Wakes the parked instance of the lowest number, so that a light load keeps returning to the same warm thread.
  // False when none is parked.
  bool wake_one() noexcept {
    uint64_t parked = parked_.load(std::memory_order_seq_cst);  // model: parking.wake_one.look
    while (parked != 0) {
      const auto place = static_cast<uint32_t>(std::countr_zero(parked));
      // model: parking.wake_one
      if (parked_.compare_exchange_weak(parked, parked & ~bit(place), std::memory_order_seq_cst,
                                        std::memory_order_seq_cst)) {
        places_[place].word.store(1, std::memory_order_release);  // model: parking.wake_one.word
        futex_wake(&places_[place].word);
        return true;
      }
    }
    return false;
  }

  void wake_all() noexcept {
    while (wake_one()) {
    }
  }

 private:
  static constexpr uint64_t bit(uint32_t place) noexcept { return uint64_t{1} << place; }
  struct alignas(64) Place {
    std::atomic<uint32_t> word{0};
  };
  alignas(64) std::atomic<uint64_t> parked_{0};
  std::array<Place, kPlaces> places_{};
};

}  // namespace subten
