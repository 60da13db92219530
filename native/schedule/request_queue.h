// The ordered queue of a model: priority level first, within it the order of arrival, or, with an slo, of due times.
// Only the leader touches it.
//
// A level has two lists, as in Triton: requests whose queue timeout passed with action DELAY come after all others of
// their level. Requests that can expire are also in a binary heap by expiry. Nothing is allocated after initialise().
#pragma once

#include <cstdint>
#include <vector>

#include "memory/mapped_array.h"
#include "queue/descriptor.h"
#include "schedule/due_index.h"
#include "schedule/settings.h"

namespace subten {

class RequestQueue {
 public:
  bool initialise(Descriptor* descriptors, uint32_t slots, uint32_t levels, bool by_due = false) noexcept;

  // Appends `slot` to its level. Its descriptor names level, deadline and timeout.
  void add(uint32_t slot) noexcept;
  void remove(uint32_t slot) noexcept;

  uint32_t size() const noexcept { return size_; }

  // Order of dispatch: first() then next() until kNoSlot. The current slot may be removed after next() was asked.
  uint32_t first() const noexcept;
  uint32_t next(uint32_t slot) const noexcept;

  // The same within one level (1 is the highest), those behind the others of their level included.
  uint32_t first_of(uint32_t level) const noexcept;
  uint32_t next_of(uint32_t slot) const noexcept;
  uint32_t levels() const noexcept { return static_cast<uint32_t>(lists_.size() / 2); }

  // Moves a request behind all others of its level, where it expires at `expiry_ns`.
  void move_behind(uint32_t slot, int64_t expiry_ns) noexcept;

  // When the next request expires, or kNever.
  int64_t next_expiry_ns() const noexcept { return heap_size_ == 0 ? kNever : descriptors_[heap_[0]].expiry_ns; }

  // A request whose deadline or timeout has passed, removed from the queue, or kNoSlot when there is none (any more).
  // Those with timeout action DELAY are moved behind the others of their level instead.
  uint32_t pop_expired(int64_t now_ns) noexcept;

 private:
  struct List {
    uint32_t head = kNoSlot;
    uint32_t tail = kNoSlot;
    uint32_t root = kNoSlot;  // of its index, where the list is ordered by due time
  };
  uint32_t list_of(const Descriptor& descriptor) const noexcept {
    return (descriptor.level - 1u) * 2 + descriptor.delayed;
  }
  void append(uint32_t list, uint32_t slot) noexcept;
  void insert(uint32_t list, uint32_t slot) noexcept;
  void link(List* list, uint32_t slot, uint32_t previous) noexcept;
  void unlink(uint32_t slot) noexcept;
  void heap_insert(uint32_t slot) noexcept;
  void heap_remove(uint32_t slot) noexcept;
  void sift_up(uint32_t index) noexcept;
  void sift_down(uint32_t index) noexcept;
  void place(uint32_t index, uint32_t slot) noexcept;

  Descriptor* descriptors_ = nullptr;
  std::vector<List> lists_;
  MappedArray<DueIndex::Node> nodes_;  // by slot, with an slo
  MappedArray<uint32_t> heap_;
  uint32_t heap_size_ = 0;
  uint32_t size_ = 0;
  uint64_t arrivals_ = 0;
};

}  // namespace subten
