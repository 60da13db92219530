// Which ONNX Runtime the backend loads.
#pragma once

#include <string>

#include "memory/status.h"

namespace subten::triton_backend {

// What may name the library beside the environment.
struct LibraryChoice {
  std::string parameter;       // `onnxruntime_library` of the model
  std::string backend_config;  // of the server: --backend-config=subten_onnxruntime,onnxruntime_library=FILE
  std::string folder;          // where the backend itself lies
};

// In this order: the model's parameter, the server's backend config, SUBTEN_ONNXRUNTIME_LIBRARY, the library beside the
// backend, the system's. Empty when only the system is left.
std::string find_ort_library(const LibraryChoice& choice);

// Finds and loads it, once for the process.
Status load_ort(const LibraryChoice& choice);

// Whether the library computes on CUDA devices; valid after load_ort().
bool ort_has_cuda();

}  // namespace subten::triton_backend
