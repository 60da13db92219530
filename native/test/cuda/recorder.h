// A batch's end, for tests of what computes one.
#pragma once

#include <atomic>
#include <span>
#include <utility>
#include <vector>

#include "engines/engine.h"

namespace subten {

// Keeps the first output.
class Recorder final : public BatchCompletion {
 public:
  bool slab_full = false;
  std::vector<float> output;
  Shape shape;
  Status status;
  bool adopted = false;

  void* allocate(size_t, std::span<const int64_t> given, uint64_t bytes) noexcept override {
    shape.assign(given.begin(), given.end());
    output.assign(bytes / sizeof(float), -1.0F);
    return slab_full ? nullptr : output.data();
  }
  void adopt(size_t, std::span<const int64_t>, BufferHandle buffer) noexcept override {
    const auto* floats = static_cast<const float*>(buffer.data);
    output.assign(floats, floats + buffer.bytes / sizeof(float));
    buffer.release(buffer.context);
    adopted = true;
  }
  void set_shape(size_t, std::span<const int64_t>) noexcept override {}
  void* allocate_for(size_t, size_t, std::span<const int64_t>, uint64_t) noexcept override { return nullptr; }
  void adopt_for(size_t, size_t, std::span<const int64_t>, BufferHandle) noexcept override {}
  bool part(size_t) noexcept override { return true; }
  void fail(size_t, Status) noexcept override {}
  bool abandoned() const noexcept override { return false; }
  void mark_start() noexcept override {}
  void mark_end() noexcept override {}
  void done(Status ending) noexcept override {
    status = std::move(ending);
    ended_.store(true, std::memory_order_release);  // pairs with the acquire in wait()
    ended_.notify_one();
  }
  void wait() { ended_.wait(false, std::memory_order_acquire); }

 private:
  std::atomic<bool> ended_{false};
};

}  // namespace subten
