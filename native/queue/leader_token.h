// The token of the leader: whoever holds it may touch the ordered queue. Nobody ever waits for it.
#pragma once

#include <atomic>

namespace subten {

class LeaderToken {
 public:
  // acquire: pairs with unlock(); the new leader sees the queue as the last one left it.
  bool try_lock() noexcept {
    // model: token.try_lock.look, token.try_lock
    return !held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_acquire);
  }
  // seq_cst: a release, and the leader's half of the handshake with an instance that is about to park because the
  // token was held: the leader looks for parked instances after this store.
  void unlock() noexcept { held_.store(false, std::memory_order_seq_cst); }  // model: token.unlock
  bool held() const noexcept { return held_.load(std::memory_order_seq_cst); }

 private:
  alignas(64) std::atomic<bool> held_{false};
};

}  // namespace subten
