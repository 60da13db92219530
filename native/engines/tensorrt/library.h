// Finds TensorRT's library, tells its version, and loads the shared object of ours that fits it.
#pragma once

#include <string>
#include <vector>

#include "engines/tensorrt/plugin_abi.h"
#include "memory/status.h"

namespace subten {

struct TensorrtLibrary {
  const TensorrtPlugin* plugin = nullptr;
  std::string path;
  std::string version;  // "10.16.1", "RTX 1.7.1"
  bool rtx = false;
};

// What a library is wanted for.
enum class TensorrtUse : uint8_t { kAny, kBuild, kPlan, kRtx };

struct TensorrtSearch {
  std::string path;                         // that the user named, a file or a folder; empty: search
  std::vector<std::string> installed = {};  // folders that are looked at last
  TensorrtUse use = TensorrtUse::kAny;
};

// Once a process, the first that is asked for: TensorRT keeps process-wide state, and so do the drivers below it. Looks
// at `path`, else at SUBTEN_TENSORRT_LIB, else where the loader looks, else at `installed`. A lean or dispatch runtime
// is taken for plans where there is no whole TensorRT. Nothing of TensorRT is called but its version: without a driver
// most of it crashes.
//
// ENGINE_NOT_FOUND with the places that were looked at; ENGINE_VERSION for a version that no shared object is made for,
// or where another library is loaded already; UNSUPPORTED_PLATFORM outside of Linux. Thread safe.
Status load_tensorrt(const TensorrtSearch& search, const TensorrtLibrary** out);

// What load_tensorrt() found, or an empty value.
const TensorrtLibrary& loaded_tensorrt() noexcept;

// A sink that appends to a string.
TensorrtSink sink_of(std::string* text) noexcept;
// A call's result and its sentence as a status.
Status tensorrt_status(int32_t code, std::string sentence);

}  // namespace subten
