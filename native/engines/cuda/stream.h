// One queue of work on a device, with buffers from the device's pool, copies, events and the notice of their end.
#pragma once

#include <memory>

#include "engines/cuda/device.h"

namespace subten {

class CudaStream;

// Memory of the device, from its stream-ordered pool: freeing waits for nothing, and the pool keeps the memory.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceBuffer();

  CuAddress address() const noexcept { return address_; }
  uint64_t bytes() const noexcept { return bytes_; }

 private:
  friend class CudaStream;
  void swap(DeviceBuffer& other) noexcept;

  CudaStream* stream_ = nullptr;  // outlives the buffer
  CuAddress address_ = 0;
  uint64_t bytes_ = 0;
};

// A moment in a stream.
class CudaEvent {
 public:
  CudaEvent() = default;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  ~CudaEvent();

  // `timed`: elapsed_ms() may be asked of it.
  Status create(const CudaStream& stream, bool timed);
  CuEvent raw() const noexcept { return event_; }
  // True when the work before the moment is done; an error of that work shows here.
  Status reached(bool* out) const;
  // Milliseconds from `start`; both timed, recorded and reached.
  Status elapsed_ms(const CudaEvent& start, float* out) const;

 private:
  const CudaStream* stream_ = nullptr;
  CuEvent event_ = nullptr;
};

// Not thread safe: one thread at a time. An error of the device (an illegal address, a device that is lost) stays: all
// later calls of the process on that device fail with it, and lost() tells.
class CudaStream {
 public:
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;
  ~CudaStream();

  static Status create(int device, std::unique_ptr<CudaStream>* out);

  // OUT_OF_MEMORY leaves the stream as it was.
  Status allocate(uint64_t bytes, DeviceBuffer* out);
  // Host memory that is not page-locked is copied before the call returns.
  Status copy_in(const DeviceBuffer& to, const void* from, uint64_t bytes);
  Status copy_out(void* to, const DeviceBuffer& from, uint64_t bytes);
  Status record(const CudaEvent& event);
  // Work that follows waits for a moment of another stream.
  Status wait(const CudaEvent& event);
  // `function(argument)` when all work so far is done, on a thread of the driver; it must not call the driver. Where
  // the device fails before, it is never called: the caller finds out by idle().
  Status notify(CuHostFunction function, void* argument);
  Status idle(bool* out);
  Status finish();

  // The device has failed for good: nothing runs on it in this process any more.
  bool lost() const noexcept { return lost_; }

  const CudaDriver& driver() const noexcept { return *driver_; }
  CuContext context() const noexcept { return context_; }
  CuStream raw() const noexcept { return stream_; }

 private:
  friend class CudaGraph;
  friend class DeviceBuffer;
  CudaStream() = default;
  Status check(CuResult result, const char* what);
  void free(CuAddress address) noexcept;

  const CudaDriver* driver_ = nullptr;
  CuDeviceNumber device_ = 0;
  CuContext context_ = nullptr;
  CuStream stream_ = nullptr;
  bool lost_ = false;
};

}  // namespace subten
