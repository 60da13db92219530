// The engine `onnxruntime`: ONNX models on the CPU through ONNX Runtime's C API, loaded at run time.
#pragma once

#include <string>
#include <vector>

#include "engines/engine.h"

namespace subten {

// Process-wide, never destroyed.
Engine* onnxruntime_engine() noexcept;

// Where JS found the library of the npm platform package; tried after the explicit option and SUBTEN_ONNXRUNTIME_LIB,
// before the system. Empty = there is none. Thread safe; matters until the library has been loaded.
void set_onnxruntime_library_hint(std::string path);

// How many threads compute together: the thread that runs an instance, and a pool of `compute_threads - 1` shared by
// all models that do not ask for a pool of their own.
struct OnnxRuntimeThreads {
  int compute_threads = 0;  // 0 = as many as this process may run on (affinity)
};
// Matters until the library has been loaded.
void set_onnxruntime_threads(int compute_threads) noexcept;
OnnxRuntimeThreads onnxruntime_threads() noexcept;

// The newest lines that ONNX Runtime logged at warning or above, oldest first.
std::vector<std::string> onnxruntime_recent_log();

}  // namespace subten
