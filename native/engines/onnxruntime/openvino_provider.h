// Sessions computed by OpenVINO, on the CPU.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engines/engine.h"
#include "engines/onnxruntime/ort_api.h"
#include "memory/status.h"

namespace subten {

struct OpenVinoSettings {
  bool used = false;
  // Operators that OpenVINO does not have run in ONNX Runtime's own CPU provider; otherwise they are an error.
  bool cpu_nodes = true;
  std::string precision;                                     // fp32, bf16, fp16 or accuracy
  int threads = 0;                                           // 0 = as many as compute together
  std::vector<std::pair<std::string, std::string>> options;  // of the provider, by its own names

  // What the provider is to be given under `name`, or "".
  std::string option(const char* name) const;
  int streams() const;  // runs that are computed side by side
};

// Loads an ONNX Runtime for a model that OpenVINO computes, if the process has none yet: ENGINE_NOT_FOUND where none
// with the provider was named or found.
Status load_openvino_library(const EngineOptions& options);

// NOT_SUPPORTED: the ONNX Runtime of this process has no such provider, the processor lacks the precision, or the
// provider does not know the device; ENGINE_NOT_FOUND: a library of the provider does not load; CONFIG_INVALID: an
// option that it refuses.
Status use_openvino(const OpenVinoSettings& settings, OrtSessionOptions* options);

// True once a session of this process computes by OpenVINO: its threads live on.
bool openvino_was_used() noexcept;

// What an error says beside the places in source files that it went through.
std::string openvino_cause(std::string_view text);

// For users: "OpenVINO on CPU, fp32, 2 threads, 1 stream".
std::string describe(const OpenVinoSettings& settings);

// Runs `work` on a thread of the lowest priority that is deaf to signals: OpenVINO's threads inherit both from whoever
// first needs them.
Status on_quiet_thread(const std::function<Status()>& work);

}  // namespace subten
