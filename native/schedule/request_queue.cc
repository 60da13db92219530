#include "schedule/request_queue.h"

#include <algorithm>

namespace subten {

bool RequestQueue::initialise(Descriptor* descriptors, uint32_t slots, uint32_t levels, bool by_due) noexcept {
  descriptors_ = descriptors;
  try {
    lists_.resize(size_t{levels} * 2);
  } catch (...) {
    return false;
  }
  return heap_.map(slots) && (!by_due || nodes_.map(slots));
}

void RequestQueue::link(List* list, uint32_t slot, uint32_t previous) noexcept {
  Descriptor& descriptor = descriptors_[slot];
  uint32_t& after = previous == kNoSlot ? list->head : descriptors_[previous].queue_next;
  descriptor.queue_previous = previous;
  descriptor.queue_next = after;
  (after == kNoSlot ? list->tail : descriptors_[after].queue_previous) = slot;
  after = slot;
}

void RequestQueue::append(uint32_t list, uint32_t slot) noexcept { link(&lists_[list], slot, lists_[list].tail); }

// Where it belongs by due time; those that are due at once, by arrival.
void RequestQueue::insert(uint32_t list, uint32_t slot) noexcept {
  List& to = lists_[list];
  const auto before = [this](uint32_t a, uint32_t b) {
    const Descriptor &left = descriptors_[a], &right = descriptors_[b];
    return left.due_ns != right.due_ns ? left.due_ns < right.due_ns : left.arrival < right.arrival;
  };
  link(&to, slot, DueIndex::insert(nodes_.data(), &to.root, slot, before));
}

void RequestQueue::unlink(uint32_t slot) noexcept {
  const Descriptor& descriptor = descriptors_[slot];
  List& from = lists_[list_of(descriptor)];
  if (nodes_.size() > 0 && descriptor.delayed == 0) DueIndex::remove(nodes_.data(), &from.root, slot);
  if (descriptor.queue_previous != kNoSlot) {
    descriptors_[descriptor.queue_previous].queue_next = descriptor.queue_next;
  } else {
    from.head = descriptor.queue_next;
  }
  if (descriptor.queue_next != kNoSlot) {
    descriptors_[descriptor.queue_next].queue_previous = descriptor.queue_previous;
  } else {
    from.tail = descriptor.queue_previous;
  }
}

void RequestQueue::add(uint32_t slot) noexcept {
  Descriptor& descriptor = descriptors_[slot];
  descriptor.delayed = 0;
  descriptor.arrival = arrivals_++;
  descriptor.heap_index = kNoSlot;
  const int64_t timeout = descriptor.timeout_ns == kNever ? kNever : descriptor.submit_ns + descriptor.timeout_ns;
  descriptor.expiry_ns = std::min(descriptor.deadline_ns, timeout);
  if (nodes_.size() > 0) {
    insert(list_of(descriptor), slot);
  } else {
    append(list_of(descriptor), slot);
  }
  if (descriptor.expiry_ns != kNever) heap_insert(slot);
  ++size_;
}

void RequestQueue::remove(uint32_t slot) noexcept {
  unlink(slot);
  if (descriptors_[slot].heap_index != kNoSlot) heap_remove(slot);
  --size_;
}

uint32_t RequestQueue::first() const noexcept {
  for (const List& list : lists_) {
    if (list.head != kNoSlot) return list.head;
  }
  return kNoSlot;
}

uint32_t RequestQueue::next(uint32_t slot) const noexcept {
  const Descriptor& descriptor = descriptors_[slot];
  if (descriptor.queue_next != kNoSlot) return descriptor.queue_next;
  for (size_t list = list_of(descriptor) + 1; list < lists_.size(); ++list) {
    if (lists_[list].head != kNoSlot) return lists_[list].head;
  }
  return kNoSlot;
}

uint32_t RequestQueue::first_of(uint32_t level) const noexcept {
  const size_t list = (level - 1u) * size_t{2};
  return lists_[list].head != kNoSlot ? lists_[list].head : lists_[list + 1].head;
}

uint32_t RequestQueue::next_of(uint32_t slot) const noexcept {
  const Descriptor& descriptor = descriptors_[slot];
  if (descriptor.queue_next != kNoSlot || descriptor.delayed != 0) return descriptor.queue_next;
  return lists_[list_of(descriptor) + 1].head;
}

void RequestQueue::move_behind(uint32_t slot, int64_t expiry_ns) noexcept {
  Descriptor& descriptor = descriptors_[slot];
  if (descriptor.heap_index != kNoSlot) heap_remove(slot);
  unlink(slot);
  descriptor.delayed = 1;
  append(list_of(descriptor), slot);
  descriptor.expiry_ns = expiry_ns;
  if (expiry_ns != kNever) heap_insert(slot);
}

uint32_t RequestQueue::pop_expired(int64_t now_ns) noexcept {
  while (heap_size_ > 0) {
    const uint32_t slot = heap_[0];
    Descriptor& descriptor = descriptors_[slot];
    if (descriptor.expiry_ns > now_ns) return kNoSlot;
    if (descriptor.timeout_delays != 0 && descriptor.deadline_ns > now_ns && descriptor.delayed == 0) {
      move_behind(slot, descriptor.deadline_ns);
      continue;
    }
    remove(slot);
    return slot;
  }
  return kNoSlot;
}

void RequestQueue::place(uint32_t index, uint32_t slot) noexcept {
  heap_[index] = slot;
  descriptors_[slot].heap_index = index;
}

void RequestQueue::heap_insert(uint32_t slot) noexcept {
  place(heap_size_, slot);
  sift_up(heap_size_++);
}

void RequestQueue::heap_remove(uint32_t slot) noexcept {
  const uint32_t index = descriptors_[slot].heap_index;
  const uint32_t last = heap_[--heap_size_];
  descriptors_[slot].heap_index = kNoSlot;
  if (last == slot) return;
  place(index, last);
  sift_up(index);
  sift_down(descriptors_[last].heap_index);
}

void RequestQueue::sift_up(uint32_t index) noexcept {
  const uint32_t slot = heap_[index];
  const int64_t key = descriptors_[slot].expiry_ns;
  while (index > 0) {
    const uint32_t parent = (index - 1) / 2;
    if (descriptors_[heap_[parent]].expiry_ns <= key) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, slot);
}

void RequestQueue::sift_down(uint32_t index) noexcept {
  const uint32_t slot = heap_[index];
  const int64_t key = descriptors_[slot].expiry_ns;
  for (;;) {
    uint32_t child = index * 2 + 1;
    if (child >= heap_size_) break;
    if (child + 1 < heap_size_ && descriptors_[heap_[child + 1]].expiry_ns < descriptors_[heap_[child]].expiry_ns)
      ++child;
    if (descriptors_[heap_[child]].expiry_ns >= key) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, slot);
}

}  // namespace subten
