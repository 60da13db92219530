// The way back: record numbers from native threads (many producers) to the thread of one environment (one consumer).
//
// A bounded ring in the manner of Vyukov's bounded MPMC queue (1024cores.net), reduced to one consumer: a producer
// claims a position with one fetch_add and publishes it by writing position and value in one store. It can never be
// full, since its capacity is the number of records that exist and each is in the ring at most once.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/mapped_array.h"

namespace subten {

class CompletionRing {
 public:
  // `capacity` is a power of two.
  bool initialise(uint32_t capacity) noexcept {
    mask_ = capacity - 1;
    return cells_.map(capacity);
  }

  // Any thread.
  void push(uint32_t record) noexcept {
    // relaxed: only makes the position unique; the store below publishes.
    const uint64_t position = tail_.fetch_add(1, std::memory_order_relaxed);  // model: ring.push.claim
    // seq_cst: a release for the record (pairs with take()), and half of the handshake on `armed`: the producer looks
    // at it after this store, the consumer looks at the cell after arming.
    cells_[position & mask_].store(lap(position) | record, std::memory_order_seq_cst);  // model: ring.push
  }

  // Up to `limit` records, oldest first. Consumer only. A position that was claimed but is not published yet ends it.
  uint32_t take(uint32_t* records, uint32_t limit) noexcept {
    uint32_t count = 0;
    while (count < limit) {
      // model: ring.take
      const uint64_t cell = cells_[head_ & mask_].load(std::memory_order_acquire);  // pairs with push()
      if ((cell & kLapMask) != lap(head_)) break;
      records[count++] = static_cast<uint32_t>(cell);
      ++head_;
    }
    return count;
  }

  // Whether take() would find something. Consumer only.
  bool ready() const noexcept {
    // model: ring.ready
    return (cells_[head_ & mask_].load(std::memory_order_relaxed) & kLapMask) == lap(head_);
  }

  // The consumer, having found nothing, asks to be woken. True when something came meanwhile: take() again.
  bool arm() noexcept {
    armed_.store(true, std::memory_order_seq_cst);  // model: ring.arm
    // model: ring.arm.look
    if ((cells_[head_ & mask_].load(std::memory_order_seq_cst) & kLapMask) != lap(head_)) return false;
    armed_.store(false, std::memory_order_relaxed);  // model: ring.arm.disarm
    return true;
  }

  // The consumer is looking by itself (it drains, or it polls): no wake is needed.
  void disarm() noexcept { armed_.store(false, std::memory_order_relaxed); }  // model: ring.disarm

  // After push(): true when the consumer must be woken, by this caller and by no other.
  bool claim_wake() noexcept {
    // model: ring.claim_wake.look, ring.claim_wake
    return armed_.load(std::memory_order_seq_cst) && armed_.exchange(false, std::memory_order_seq_cst);
  }

 private:
  // The lap number, never 0, so that a zeroed cell counts as not published.
  static constexpr uint64_t kLapMask = ~uint64_t{0} << 32;
  uint64_t lap(uint64_t position) const noexcept { return (position / (uint64_t{mask_} + 1) + 1) << 32; }

  MappedArray<std::atomic<uint64_t>> cells_;
  uint32_t mask_ = 0;
  alignas(64) std::atomic<uint64_t> tail_{0};
  alignas(64) uint64_t head_ = 0;
  alignas(64) std::atomic<bool> armed_{true};
};

}  // namespace subten
