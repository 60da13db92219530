// The libraries that ONNX Runtime's providers for CUDA and TensorRT need.
#pragma once

#include <string>

#include "memory/status.h"

namespace subten {

// Separated by ':', tried before the system's search, after the option that names directories as well.
inline constexpr const char* kCudaLibraryVariable = "SUBTEN_CUDA_LIBRARY_PATH";

// Loads what the provider beside `ort_library` needs, so that its own load finds everything, and says by name what is
// missing: the library itself only says that it failed. `directories` (separated by ':') may be folders of libraries or
// folders of packages that have them in `lib` (site-packages/nvidia). `driver_version` as cuDriverGetVersion gives it.
// NOT_SUPPORTED: no provider, or a driver older than it needs; ENGINE_NOT_FOUND: a library is missing.
Status load_cuda_libraries(const std::string& ort_library, const std::string& directories, int driver_version);
// The same for the TensorRT provider, which needs TensorRT's library and ONNX parser besides: those of
// SUBTEN_TENSORRT_LIB (a file or a folder) before the system's.
Status load_tensorrt_libraries(const std::string& ort_library, const std::string& directories, int driver_version);

}  // namespace subten
