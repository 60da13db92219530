#include "memory/slab_heap.h"

#include <bit>

namespace subten {

bool SlabHeap::initialise(uint32_t granules) noexcept {
  if (!free_at_start_.map(granules) || !free_at_end_.map(granules) || !next_.map(granules) ||
      !previous_.map(granules)) {
    return false;
  }
  for (auto& row : heads_) row.fill(kNone);
  granules_ = granules;
  insert(0, granules);
  return true;
}

SlabHeap::Bin SlabHeap::bin_of(uint32_t size) noexcept {
  const uint32_t first = static_cast<uint32_t>(std::bit_width(size)) - 1;
  const uint32_t second = first >= kSecondBits ? (size >> (first - kSecondBits)) & (kSecond - 1)
                                               : (size << (kSecondBits - first)) & (kSecond - 1);
  return {first, second};
}

SlabHeap::Bin SlabHeap::bin_at_least(uint32_t size) noexcept {
  // Round up to the next bin border, so that every run in the bin is long enough.
  const uint32_t first = static_cast<uint32_t>(std::bit_width(size)) - 1;
  if (first > kSecondBits) size += (1u << (first - kSecondBits)) - 1;
  return bin_of(size);
}

void SlabHeap::insert(uint32_t start, uint32_t size) noexcept {
  const Bin bin = bin_of(size);
  uint32_t& head = heads_[bin.first][bin.second];
  next_[start] = head;
  previous_[start] = kNone;
  if (head != kNone) previous_[head] = start;
  head = start;
  free_at_start_[start] = size;
  free_at_end_[start + size - 1] = size;
  first_map_ |= 1u << bin.first;
  second_maps_[bin.first] |= 1u << bin.second;
  free_granules_ += size;
}

void SlabHeap::remove(uint32_t start) noexcept {
  const uint32_t size = free_at_start_[start];
  const Bin bin = bin_of(size);
  const uint32_t next = next_[start];
  const uint32_t previous = previous_[start];
  if (next != kNone) previous_[next] = previous;
  if (previous != kNone) {
    next_[previous] = next;
  } else {
    heads_[bin.first][bin.second] = next;
    if (next == kNone) {
      second_maps_[bin.first] &= ~(1u << bin.second);
      if (second_maps_[bin.first] == 0) first_map_ &= ~(1u << bin.first);
    }
  }
  free_at_start_[start] = 0;
  free_at_end_[start + size - 1] = 0;
  free_granules_ -= size;
}

uint32_t SlabHeap::allocate(uint32_t size) noexcept {
  if (size == 0 || size > granules_) return kNone;
  Bin bin = bin_at_least(size);
  uint32_t start = kNone;
  uint32_t seconds = second_maps_[bin.first] & (~0u << bin.second);
  if (seconds == 0) {
    const uint32_t firsts = bin.first + 1 < kFirst ? first_map_ & (~0u << (bin.first + 1)) : 0;
    if (firsts != 0) {
      bin.first = static_cast<uint32_t>(std::countr_zero(firsts));
      seconds = second_maps_[bin.first];
    }
  }
  if (seconds != 0) {
    start = heads_[bin.first][static_cast<uint32_t>(std::countr_zero(seconds))];
  } else {
    // Rounding up skipped the bin that holds runs just long enough: look there before giving up.
    const Bin exact = bin_of(size);
    for (uint32_t run = heads_[exact.first][exact.second]; run != kNone; run = next_[run]) {
      if (free_at_start_[run] >= size) {
        start = run;
        break;
      }
    }
  }
  if (start == kNone) return kNone;
  const uint32_t found = free_at_start_[start];
  remove(start);
  if (found > size) insert(start + size, found - size);
  return start;
}

void SlabHeap::free(uint32_t start, uint32_t size) noexcept {
  if (start + size < granules_ && free_at_start_[start + size] != 0) {
    const uint32_t after = free_at_start_[start + size];
    remove(start + size);
    size += after;
  }
  if (start > 0 && free_at_end_[start - 1] != 0) {
    const uint32_t before = free_at_end_[start - 1];
    remove(start - before);
    start -= before;
    size += before;
  }
  insert(start, size);
}

}  // namespace subten
