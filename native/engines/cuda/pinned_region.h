// Memory of ours that the devices may read and write by themselves: page-locked, so that copies to and from a device
// need no staging and run beside the CPU.
#pragma once

#include "engines/cuda/device.h"

namespace subten {

// Registers a region for as long as the object lives; the region must outlive it. The device's primary context is kept
// alive meanwhile.
class PinnedRegion {
 public:
  PinnedRegion() = default;
  PinnedRegion(const PinnedRegion&) = delete;
  PinnedRegion& operator=(const PinnedRegion&) = delete;
  ~PinnedRegion() { release(); }

  // OUT_OF_MEMORY (the limit of locked memory, `ulimit -l`, may be the reason), ENGINE_FAILED.
  Status lock(int device, void* start, uint64_t bytes);
  bool locked() const noexcept { return start_ != nullptr; }
  void release() noexcept;

 private:
  const CudaDriver* driver_ = nullptr;
  CuDeviceNumber device_ = 0;
  CuContext context_ = nullptr;
  void* start_ = nullptr;
};

}  // namespace subten
