// The memory of a model for tensor bytes: one mapping, cut into reference-counted extents.
//
// The common path (an extent size that was used before) takes and returns extents through lock-free stacks, one a size
// class. Only when a stack is empty is the heap behind them asked, under a mutex that is held for about 100 ns.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "memory/mapped_array.h"
#include "memory/slab_heap.h"
#include "memory/status.h"

namespace subten {

class Slab {
 public:
  static constexpr uint64_t kAlignment = 64;
  static constexpr uint64_t kNowhere = UINT64_MAX;

  // `bytes` is rounded up to whole pages; at most 64 GiB.
  static Status create(uint64_t bytes, std::shared_ptr<Slab>* out);

  std::byte* data() const noexcept { return memory_.data(); }
  uint64_t size() const noexcept { return memory_.size(); }

  // Offset of an extent of at least `bytes` with one reference, aligned to 64, or kNowhere when the slab is full.
  // Any thread.
  uint64_t allocate(uint64_t bytes) noexcept;

  // Bytes that an extent of `bytes` takes up.
  static uint64_t extent_bytes(uint64_t bytes) noexcept;

  // One reference more; the extent must be alive.
  void retain(uint64_t offset, uint32_t count = 1) noexcept;
  // One reference less; the last one frees the extent. Any thread.
  void release(uint64_t offset) noexcept;

  // Bytes in live extents.
  uint64_t used() const noexcept { return used_granules_.load(std::memory_order_relaxed) * kAlignment; }

 private:
  struct Granule {
    std::atomic<uint32_t> references;  // 0: no live extent starts here
    uint32_t size;                     // granules
    std::atomic<uint32_t> next;  // link in the stack of its size class; atomic since a loser of a pop reads it late
  };
  static constexpr uint32_t kClasses = 256;

  static uint32_t class_of(uint32_t granules) noexcept;
  static uint32_t class_size(uint32_t granules) noexcept;
  uint32_t pop(uint32_t size_class) noexcept;
  void push(uint32_t size_class, uint32_t start) noexcept;
  void flush_classes() noexcept;

  MappedArray<std::byte> memory_;
  MappedArray<Granule> granules_;
  // Head of each stack: a tag that changes with every push and pop (against ABA) and granule + 1 (0 = empty).
  std::array<std::atomic<uint64_t>, kClasses> stacks_{};
  std::atomic<uint64_t> used_granules_{0};
  std::mutex heap_mutex_;
  SlabHeap heap_;
};

}  // namespace subten
