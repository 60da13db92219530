// Reference-counted things that several requests of a batch share: an engine's own output buffer, an error message.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "memory/buffer_handle.h"

namespace subten {

struct SharedBuffer {
  std::atomic<uint32_t> references{1};
  BufferHandle handle;

  void retain() noexcept { references.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    // acq_rel: all reads of the buffer happen before the engine takes it back.
    if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (handle.release != nullptr) handle.release(handle.context);
    delete this;
  }
};

struct SharedMessage {
  std::atomic<uint32_t> references{1};
  std::string text;

  void retain() noexcept { references.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
};

// The part of an output that belongs to one request, and what keeps it alive.
struct OutputRef {
  uint64_t block;         // slab extent + 1; 0: none
  SharedBuffer* engine;   // or null
  const std::byte* data;  // of this request's part
  uint64_t bytes;
};

}  // namespace subten
