#include "engines/cuda/pinned_region.h"

#include <utility>

namespace subten {

Status PinnedRegion::lock(int device, void* start, uint64_t bytes) {
  release();
  if (Status status = load_cuda_driver(&driver_); !status.is_ok()) return status;
  CuResult result = driver_->cuDeviceGet(&device_, device);
  if (result == cu::kSuccess) result = driver_->cuDevicePrimaryCtxRetain(&context_, device_);
  if (result != cu::kSuccess) {
    context_ = nullptr;
    return cuda_failure(*driver_, result, "The CUDA device gives no context");
  }
  {
    const CurrentContext current(*driver_, context_);
    result = driver_->cuMemHostRegister(start, bytes, cu::kRegisterPortable);
  }
  if (result != cu::kSuccess) {
    Status status = cuda_failure(*driver_, result, "The memory for tensors cannot be page-locked");
    release();
    return status;
  }
  start_ = start;
  return Status::ok();
}

void PinnedRegion::release() noexcept {
  if (context_ == nullptr) return;
  if (void* start = std::exchange(start_, nullptr); start != nullptr) {
    const CurrentContext current(*driver_, context_);
    driver_->cuMemHostUnregister(start);
  }
  driver_->cuDevicePrimaryCtxRelease(device_);
  context_ = nullptr;
}

}  // namespace subten
