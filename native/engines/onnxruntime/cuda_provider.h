// Sessions on CUDA devices.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engines/cuda/pinned_region.h"
#include "engines/onnxruntime/ort_api.h"
#include "engines/onnxruntime/tensorrt_provider.h"
#include "memory/status.h"

namespace subten {

struct CudaSettings {
  int device = -1;  // -1: on the CPU
  // Operators that CUDA does not have run on the CPU, and tensors are copied for them; otherwise they are an error.
  bool cpu_nodes = true;
  bool pinned = true;        // page-lock the memory of requests
  uint32_t graph_lanes = 0;  // streams with runs recorded as CUDA graphs; 0: runs are not recorded
  std::string library_path;  // where CUDA's libraries lie, separated by ':'
  std::vector<std::pair<std::string, std::string>> options;  // of the provider, by its own names
  TensorrtProviderSettings tensorrt;                         // before CUDA, or alone

  bool used() const noexcept { return device >= 0; }
};

// Operators that CUDA has run on the device, the others on the CPU, if the settings allow it; the library copies
// tensors in CPU memory. The driver and the device are looked at before any other library is loaded.
// ENGINE_NOT_FOUND: a driver or a library is missing; NOT_SUPPORTED: no device, no provider, too old a driver;
// CONFIG_INVALID: no such device, or an option that the provider refuses.
Status use_cuda(const CudaSettings& settings, OrtSessionOptions* options);

// True once a session of this process computes on a device: libraries with exit handlers and threads are loaded then.
bool cuda_was_used() noexcept;

// Page-locks the memory of requests.
Status lock_request_memory(const CudaSettings& settings, void* start, uint64_t bytes, PinnedRegion* region);

}  // namespace subten
