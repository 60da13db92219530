// The state of a request slot, in one 64-bit word that every party changes by compare-and-swap.
//
//   bits 63..32  generation: which tenant of the slot this is; a late abort carries the old one and fails
//   bits 11..8   phase, below
//   bit  4       js hold: the environment that submitted it still wants the result
//   bits 3..0    native holds: the queue or an instance still uses the slot's memory
//
// A request ends exactly once, in the one transition that takes its phase from kQueued or kRunning to an outcome.
// The slot is free when both holds are gone; whoever drops the last one returns it (to the lease of the port when that
// is the environment, to the slot pool when it is a native thread) after raising the generation.
#pragma once

#include <atomic>
#include <cstdint>

namespace subten {

enum class Phase : uint8_t {
  kIdle = 0,  // free, or leased to a port
  kQueued,    // in the inbox or in the ordered queue
  kRunning,   // in a batch
  kResult,    // outcomes: the request has ended
  kError,
  kCancelled,
  kExpired,
};

struct RequestWord {
  static constexpr uint64_t kJsHold = 1u << 4;
  static constexpr uint64_t kNativeMask = 0xf;
  static constexpr uint64_t kHolds = kJsHold | kNativeMask;

  static constexpr uint64_t make(uint32_t generation, Phase phase, bool js, uint32_t native) {
    return uint64_t{generation} << 32 | static_cast<uint64_t>(phase) << 8 | (js ? kJsHold : 0) | native;
  }
  static constexpr uint32_t generation(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
  static constexpr Phase phase(uint64_t word) { return static_cast<Phase>((word >> 8) & 0xf); }
  static constexpr bool js_hold(uint64_t word) { return (word & kJsHold) != 0; }
  static constexpr uint32_t native_holds(uint64_t word) { return static_cast<uint32_t>(word & kNativeMask); }
  static constexpr bool pending(uint64_t word) {
    return phase(word) == Phase::kQueued || phase(word) == Phase::kRunning;
  }
};

static_assert(RequestWord::generation(RequestWord::make(7, Phase::kError, true, 1)) == 7);
static_assert(RequestWord::phase(RequestWord::make(7, Phase::kError, true, 1)) == Phase::kError);

// What an attempt to change a request's state found.
enum class Cancelled : uint8_t {
  kNotThere,   // another generation, or it has ended already
  kFromQueue,  // it was queued: its place in the queue is dead now
  kFromRun,    // it was running: its memory follows when the engine lets go
};

// The transitions, each one compare-and-swap loop on the word. Orders: a transition that hands the slot's fields to
// another thread is a release, one that takes them over an acquire; the line says with which it pairs.
class RequestState {
 public:
  uint64_t load(std::memory_order order = std::memory_order_acquire) const noexcept { return word_.load(order); }

  // The environment submits: idle → queued, with both holds. False when the generation is not the current one or the
  // slot is in use.
  bool submit(uint32_t generation) noexcept {
    uint64_t expected = RequestWord::make(generation, Phase::kIdle, false, 0);
    // relaxed: the push into the inbox publishes the descriptor.
    // model: word.submit
    return word_.compare_exchange_strong(expected, RequestWord::make(generation, Phase::kQueued, true, 1),
                                         std::memory_order_relaxed, std::memory_order_relaxed);
  }

  // The leader puts it in a batch: queued → running. False when it has ended meanwhile (drop_native() then).
  bool run() noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while (RequestWord::phase(word) == Phase::kQueued) {
      // model: word.run
      if (word_.compare_exchange_weak(word, with_phase(word, Phase::kRunning), std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // An instance or the leader ends it: queued or running → outcome, and drops the native hold in the same step, so
  // that in the usual case the environment is the last to let go. False when it had ended already.
  // release: pairs with the acquire in drop_js().
  bool end(Phase outcome) noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while (RequestWord::pending(word)) {
      // model: word.end
      if (word_.compare_exchange_weak(word, with_phase(word, outcome) - 1, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // The environment gives it up: pending → cancelled, and the js hold goes with it.
  // seq_cst: whoever cancels a run then looks whether it is on; the engine begins it and then looks whether anybody
  // waits for it. One of the two sees the other (Batch::abandoned, terminate_if_abandoned).
  Cancelled cancel(uint32_t generation) noexcept {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while (RequestWord::generation(word) == generation && RequestWord::pending(word)) {
      const bool running = RequestWord::phase(word) == Phase::kRunning;
      const uint64_t wanted = with_phase(word, Phase::kCancelled) & ~RequestWord::kJsHold;
      // model: word.cancel
      if (word_.compare_exchange_weak(word, wanted, std::memory_order_seq_cst, std::memory_order_relaxed)) {
        return running ? Cancelled::kFromRun : Cancelled::kFromQueue;
      }
    }
    return Cancelled::kNotThere;
  }

  // Drops the native hold of an ended request. True when it was the last hold: the caller returns the slot.
  bool drop_native() noexcept {
    // acq_rel: the last dropper sees what the other did with the slot's memory.
    const uint64_t before = word_.fetch_sub(1, std::memory_order_acq_rel);  // model: word.drop_native
    return (before & RequestWord::kHolds) == 1;
  }

  // Drops the js hold of an ended request of this generation. True when it was the last hold. False too when the
  // generation is another, or no hold was there.
  bool drop_js(uint32_t generation) noexcept {
    uint64_t word = word_.load(std::memory_order_acquire);
    while (RequestWord::generation(word) == generation && RequestWord::js_hold(word) && !RequestWord::pending(word)) {
      // model: word.drop_js
      if (word_.compare_exchange_weak(word, word & ~RequestWord::kJsHold, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return (word & RequestWord::kNativeMask) == 0;
      }
    }
    return false;
  }

  // The one that dropped the last hold makes the slot idle under the next generation, which is returned.
  uint32_t recycle() noexcept {
    const uint32_t next = RequestWord::generation(word_.load(std::memory_order_relaxed)) + 1;
    // release: pairs with submit() by way of the pool or the lease.
    word_.store(RequestWord::make(next, Phase::kIdle, false, 0), std::memory_order_release);  // model: word.recycle
    return next;
  }

 private:
  static uint64_t with_phase(uint64_t word, Phase phase) noexcept {
    return (word & ~(uint64_t{0xf} << 8)) | static_cast<uint64_t>(phase) << 8;
  }

  std::atomic<uint64_t> word_{0};
};

}  // namespace subten
