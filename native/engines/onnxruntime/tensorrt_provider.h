// ONNX Runtime's TensorRT provider, which takes the parts of a model that TensorRT has from the CUDA provider.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engines/onnxruntime/ort_api.h"
#include "memory/status.h"

namespace subten {

struct TensorrtProviderSettings {
  bool used = false;
  bool cuda_nodes = true;                                    // CUDA computes what TensorRT does not have
  std::vector<std::pair<std::string, std::string>> options;  // by its own names
};

// For a device that is there and whose driver runs. `directories` as for load_cuda_libraries(). ENGINE_NOT_FOUND:
// libraries of TensorRT or CUDA are missing; NOT_SUPPORTED: no provider, or too old a driver; CONFIG_INVALID: an option
// that the provider refuses.
Status use_tensorrt_provider(const TensorrtProviderSettings& settings, int device, int driver_version,
                             const std::string& directories, OrtSessionOptions* options);

}  // namespace subten
