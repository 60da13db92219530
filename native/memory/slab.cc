#include "memory/slab.h"

#include <bit>
#include <new>

namespace subten {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxBytes = uint64_t{64} << 30;

}  // namespace

Status Slab::create(uint64_t bytes, std::shared_ptr<Slab>* out) {
  bytes = (bytes + kPage - 1) / kPage * kPage;
  if (bytes == 0 || bytes > kMaxBytes) {
    return Status::error(Code::kConfigInvalid, "memoryMb must be above 0 and at most 65536");
  }
  auto slab = std::shared_ptr<Slab>(new (std::nothrow) Slab());
  const auto granules = static_cast<uint32_t>(bytes / kAlignment);
  if (!slab || !slab->memory_.map(bytes) || !slab->granules_.map(granules) || !slab->heap_.initialise(granules)) {
    return Status::error(Code::kOutOfMemory,
                         "the system refused " + std::to_string(bytes >> 20) + " MiB for the tensors of the model");
  }
  *out = std::move(slab);
  return Status::ok();
}

// Up to 8 granules a class each; above, 8 classes a doubling: at most 1/8 is wasted.
uint32_t Slab::class_size(uint32_t granules) noexcept {
  if (granules <= 8) return granules;
  const uint32_t shift = static_cast<uint32_t>(std::bit_width(granules - 1)) - 4;
  return ((granules + (1u << shift) - 1) >> shift) << shift;
}

uint32_t Slab::class_of(uint32_t granules) noexcept {
  if (granules <= 8) return granules;
  const uint32_t shift = static_cast<uint32_t>(std::bit_width(granules - 1)) - 4;
  return shift * 8 + (granules >> shift);
}

uint32_t Slab::pop(uint32_t size_class) noexcept {
  auto& stack = stacks_[size_class];
  // acquire: pairs with the release in push(), so that `next` of the popped granule is visible.
  uint64_t head = stack.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(head) != 0) {
    const uint32_t start = static_cast<uint32_t>(head) - 1;
    const uint64_t next = granules_[start].next.load(std::memory_order_relaxed);
    const uint64_t tagged = ((head >> 32) + 1) << 32 | next;
    if (stack.compare_exchange_weak(head, tagged, std::memory_order_acquire, std::memory_order_acquire)) return start;
  }
  return SlabHeap::kNone;
}

void Slab::push(uint32_t size_class, uint32_t start) noexcept {
  auto& stack = stacks_[size_class];
  uint64_t head = stack.load(std::memory_order_relaxed);
  uint64_t tagged;
  do {
    granules_[start].next.store(static_cast<uint32_t>(head), std::memory_order_relaxed);
    tagged = ((head >> 32) + 1) << 32 | (start + 1);
    // release: publishes `next` and everything written to the extent before it was given back.
  } while (!stack.compare_exchange_weak(head, tagged, std::memory_order_release, std::memory_order_relaxed));
}

void Slab::flush_classes() noexcept {
  for (uint32_t size_class = 1; size_class < kClasses; ++size_class) {
    for (uint32_t start = pop(size_class); start != SlabHeap::kNone; start = pop(size_class)) {
      heap_.free(start, granules_[start].size);
    }
  }
}

uint64_t Slab::extent_bytes(uint64_t bytes) noexcept {
  if (bytes == 0) bytes = 1;
  if (bytes > kMaxBytes) return UINT64_MAX;
  return uint64_t{class_size(static_cast<uint32_t>((bytes + kAlignment - 1) / kAlignment))} * kAlignment;
}

uint64_t Slab::allocate(uint64_t bytes) noexcept {
  if (bytes > size()) return kNowhere;
  const auto wanted = static_cast<uint32_t>(extent_bytes(bytes) / kAlignment);
  uint32_t start = pop(class_of(wanted));
  if (start == SlabHeap::kNone) {
    std::lock_guard lock(heap_mutex_);
    start = heap_.allocate(wanted);
    if (start == SlabHeap::kNone) {
      flush_classes();
      start = heap_.allocate(wanted);
    }
    if (start == SlabHeap::kNone) return kNowhere;
    granules_[start].size = wanted;
  }
  // relaxed: only the thread that was given the extent knows of it yet.
  granules_[start].references.store(1, std::memory_order_relaxed);
  used_granules_.fetch_add(wanted, std::memory_order_relaxed);
  return uint64_t{start} * kAlignment;
}

void Slab::retain(uint64_t offset, uint32_t count) noexcept {
  granules_[offset / kAlignment].references.fetch_add(count, std::memory_order_relaxed);
}

void Slab::release(uint64_t offset) noexcept {
  const auto start = static_cast<uint32_t>(offset / kAlignment);
  Granule& granule = granules_[start];
  // acq_rel: what every holder did to the bytes happens before the extent is used again.
  if (granule.references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  used_granules_.fetch_sub(granule.size, std::memory_order_relaxed);
  push(class_of(granule.size), start);
}

}  // namespace subten
