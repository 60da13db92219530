// The CUDA devices of this machine, as the driver shows them.
#pragma once

#include <string>
#include <vector>

#include "engines/cuda/driver_api.h"

namespace subten {

struct CudaDevice {
  int ordinal = 0;  // as CUDA_VISIBLE_DEVICES leaves them, from 0
  std::string name;
  std::string uuid;  // GPU-… as nvidia-smi writes it
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  uint64_t memory_bytes = 0;
};

// "NVIDIA H100 80GB HBM3 (compute 9.0, 79.6 GiB)".
std::string describe(const CudaDevice& device);

// CUDA version that the driver was made for: 13000 is 13.0. 0 where it does not say.
int cuda_driver_version(const CudaDriver& driver) noexcept;

// Errors as load_cuda_driver().
Status list_cuda_devices(std::vector<CudaDevice>* out);

// CONFIG_INVALID for an ordinal that is not there; other errors as load_cuda_driver().
Status find_cuda_device(int ordinal, CudaDevice* out);

// A device's primary context, which libraries built on the CUDA runtime use as well, current on this thread while the
// object lives.
class CurrentContext {
 public:
  CurrentContext(const CudaDriver& driver, CuContext context) noexcept
      : driver_(driver), pushed_(driver.cuCtxPushCurrent(context) == cu::kSuccess) {}
  ~CurrentContext() {
    CuContext popped = nullptr;
    if (pushed_) driver_.cuCtxPopCurrent(&popped);
  }
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  const CudaDriver& driver_;
  bool pushed_;
};

}  // namespace subten
