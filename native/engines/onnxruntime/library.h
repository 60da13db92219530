// Finding, loading and checking libonnxruntime.
#pragma once

#include <string>

#include "engines/onnxruntime/ort_api.h"
#include "memory/status.h"

namespace subten {

inline constexpr int kOrtMinimumMinor = kOldestOrtApi;  // ONNX Runtime 1.24

// The environment variable that names the library.
inline constexpr const char* kOrtLibraryVariable = "SUBTEN_ONNXRUNTIME_LIB";

struct OrtLibrary {
  std::string path;     // as the loader resolved it
  std::string version;  // as the library says
};

void set_ort_library_hint(std::string path);

// Loads the library unless that has been done, in this order: `explicit_path`, SUBTEN_ONNXRUNTIME_LIB, `suggested`, the
// hint, the system. The first three are orders: when they fail nothing else is tried; but `suggested`, where a model's
// provider was found, is no error when the process uses another one already. Starts the environment (environment.h) and
// runs a tiny model once. The library is never unloaded. Thread safe; a failure is not remembered.
Status load_ort_library(const std::string& explicit_path, const std::string& suggested = {});

// What is loaded; empty strings before.
OrtLibrary loaded_ort_library();

// Why `version` cannot be used ("1.17.0"), as an error; ok when it can.
Status check_ort_version(const std::string& version, const std::string& path);

}  // namespace subten
