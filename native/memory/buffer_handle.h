// A place where tensor bytes lie, and how to give it back.
#pragma once

#include <cstddef>
#include <cstdint>

namespace subten {

enum class MemoryKind : uint8_t { kSlab, kEngine, kPinned, kDevice };

// The one way to name tensor memory: inputs in the slab, an engine's own output, later pinned and device memory.
// `release(context)` is called once, by whoever drops the last use, on any thread; null when nothing is to be done.
struct BufferHandle {
  void* data = nullptr;
  uint64_t bytes = 0;
  MemoryKind kind = MemoryKind::kSlab;
  int32_t device = -1;  // ordinal for kPinned and kDevice
  void (*release)(void* context) = nullptr;
  void* context = nullptr;
};

}  // namespace subten
