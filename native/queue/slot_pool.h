// The free slots of a model core. Ports lease them in blocks; a slot whose last holder was a native thread, and all
// slots of a port that is gone, come back here. Lock-free: a tagged stack (Treiber 1986), any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "queue/descriptor.h"

namespace subten {

class SlotPool {
 public:
  // Fills the pool with the slots [0, count), lowest on top, so that leases are runs of neighbours.
  void initialise(Descriptor* descriptors, uint32_t count) noexcept {
    descriptors_ = descriptors;
    for (uint32_t slot = count; slot-- > 0;) push(slot);
  }

  void push(uint32_t slot) noexcept {
    uint64_t head = head_.load(std::memory_order_relaxed);
    uint64_t wanted;
    do {
      // model: pool.push.link
      descriptors_[slot].inbox_next.store(static_cast<uint32_t>(head), std::memory_order_relaxed);
      wanted = ((head >> 32) + 1) << 32 | slot;
      // release: pairs with pop(); the next tenant sees the slot as its last holder left it.
      // model: pool.push
    } while (!head_.compare_exchange_weak(head, wanted, std::memory_order_release, std::memory_order_relaxed));
  }

  // A free slot, or kNoSlot.
  uint32_t pop() noexcept {
    uint64_t head = head_.load(std::memory_order_acquire);  // model: pool.pop.look
    while (static_cast<uint32_t>(head) != kNoSlot) {
      const auto slot = static_cast<uint32_t>(head);
      const uint64_t next = descriptors_[slot].inbox_next.load(std::memory_order_relaxed);  // model: pool.pop.next
      // The tag makes the exchange fail when the stack changed since, even if the same slot is on top again.
      // model: pool.pop
      if (head_.compare_exchange_weak(head, ((head >> 32) + 1) << 32 | next, std::memory_order_acquire,
                                      std::memory_order_acquire)) {
        return slot;
      }
    }
    return kNoSlot;
  }

 private:
  Descriptor* descriptors_ = nullptr;
  alignas(64) std::atomic<uint64_t> head_{kNoSlot};
};

}  // namespace subten
