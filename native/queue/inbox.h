// Where submitters leave requests for the leader: many producers, one consumer (whoever holds the leader token).
//
// An intrusive stack whose consumer takes everything in one exchange and turns it round (Treiber, "Systems programming:
// coping with parallelism", IBM RJ 5118, 1986; without pop there is no ABA). Push is lock-free, take is wait-free, and
// both are bounded by the slots there are: nothing is allocated and nothing can be full.
#pragma once

#include <atomic>
#include <cstdint>

#include "queue/descriptor.h"

namespace subten {

class Inbox {
 public:
  // Publishes the descriptor of `slot`. Any thread.
  void push(Descriptor* descriptors, uint32_t slot) noexcept {
    uint32_t head = head_.load(std::memory_order_relaxed);  // model: inbox.push.load
    do {
      descriptors[slot].inbox_next.store(head, std::memory_order_relaxed);  // model: inbox.push.link
      // seq_cst: a release for the descriptor (pairs with take()), and the first half of the parking handshake: the
      // submitter then looks for a parked instance, which looks at the inbox after it has said that it parks.
      // model: inbox.push
    } while (!head_.compare_exchange_weak(head, slot, std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  // Everything pushed so far, oldest first, linked by inbox_next; kNoSlot when there is nothing. Leader only.
  uint32_t take(Descriptor* descriptors) noexcept {
    if (head_.load(std::memory_order_relaxed) == kNoSlot) return kNoSlot;  // model: inbox.take.look
    // model: inbox.take
    uint32_t newest = head_.exchange(kNoSlot, std::memory_order_acquire);  // pairs with push()
    uint32_t oldest_first = kNoSlot;
    while (newest != kNoSlot) {
      const uint32_t older = descriptors[newest].inbox_next.load(std::memory_order_relaxed);
      descriptors[newest].inbox_next.store(oldest_first, std::memory_order_relaxed);  // model: inbox.take.turn
      oldest_first = newest;
      newest = older;
    }
    return oldest_first;
  }

  // seq_cst: the second half of the parking handshake, see push().
  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == kNoSlot; }

 private:
  alignas(64) std::atomic<uint32_t> head_{kNoSlot};
};

}  // namespace subten
