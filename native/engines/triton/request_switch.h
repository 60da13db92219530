// Cancels a request of Triton's from another thread, and only the run that was meant.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace subten {

// A request may be cancelled between the return of ServerInferAsync and its end: before, Triton has not made what a
// cancel is written to. One that comes earlier is remembered, and whoever submits carries it out. The number of the run
// is part of the word, since a run may end, and the next begin, before its submitter is back from ServerInferAsync.
class RequestSwitch {
 public:
  // Whoever runs, before it submits. Returns the number of the run.
  // seq_cst: a release for stop(), and the submitter then looks whether anybody waits, as whoever gives the last
  // request up does so before it calls stop(): one of the two sees the other.
  uint64_t begin() noexcept {
    const uint64_t run = (word_.load(std::memory_order_relaxed) >> kBits) + 1;
    word_.store(make(run, kSubmitting), std::memory_order_seq_cst);
    return run;
  }

  // The submitter, once Triton has the request. Calls `cancel` if it was wanted meanwhile.
  template <typename Cancel>
  void submitted(uint64_t run, Cancel cancel) noexcept {
    uint64_t word = make(run, kSubmitting);
    if (word_.compare_exchange_strong(word, make(run, kRunning), std::memory_order_acq_rel)) return;
    if (word != make(run, kWanted)) return;  // it has ended
    if (word_.compare_exchange_strong(word, make(run, kStopping), std::memory_order_acq_rel)) carry_out(run, cancel);
  }

  // Any thread.
  template <typename Cancel>
  void stop(Cancel cancel) noexcept {
    uint64_t word = word_.load(std::memory_order_seq_cst);  // pairs with begin()
    for (;;) {
      const uint64_t run = word >> kBits;
      const uint64_t phase = word & kPhase;
      if (phase != kSubmitting && phase != kRunning) return;
      if (!word_.compare_exchange_weak(word, make(run, phase == kRunning ? kStopping : kWanted),
                                       std::memory_order_acq_rel)) {
        continue;
      }
      if (phase == kRunning) carry_out(run, cancel);
      return;
    }
  }

  // The run is over; a cancel that is being carried out is waited for, some nanoseconds.
  void end() noexcept {
    uint64_t word = word_.load(std::memory_order_acquire);
    for (;;) {
      if ((word & kPhase) == kStopping) {
        std::this_thread::yield();
        word = word_.load(std::memory_order_acquire);  // pairs with the release in carry_out()
      } else if (word_.compare_exchange_weak(word, make(word >> kBits, kIdle), std::memory_order_acq_rel)) {
        return;
      }
    }
  }

 private:
  enum Phase : uint64_t { kIdle = 0, kSubmitting, kWanted, kRunning, kStopping, kStopped };
  static constexpr uint64_t kBits = 3;
  static constexpr uint64_t kPhase = 7;
  static constexpr uint64_t make(uint64_t run, uint64_t phase) noexcept { return run << kBits | phase; }

  template <typename Cancel>
  void carry_out(uint64_t run, Cancel cancel) noexcept {
    cancel();
    word_.store(make(run, kStopped), std::memory_order_release);
  }

  std::atomic<uint64_t> word_{kIdle};
};

}  // namespace subten
