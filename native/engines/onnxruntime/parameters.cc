#include "engines/onnxruntime/parameters.h"

#include <charconv>
#include <string_view>

#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

constexpr int kMaxThreads = 1024;

bool parse_integer(std::string_view text, int low, int high, int* out) noexcept {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) return false;
  *out = value;
  return true;
}

bool parse_switch(std::string_view text, bool* out) noexcept {
  if (text == "1" || text == "true") {
    *out = true;
  } else if (text == "0" || text == "false") {
    *out = false;
  } else {
    return false;
  }
  return true;
}

bool parse_execution_mode(std::string_view text, OrtExecutionMode* out) noexcept {
  int mode = 0;
  if (!parse_integer(text, 0, 1, &mode)) return false;
  *out = static_cast<OrtExecutionMode>(mode);
  return true;
}

// Words say what they do. Numbers are Triton's graph level, where 2 turns everything off.
bool parse_level(std::string_view text, OrtOptimizationLevel* out) noexcept {
  if (text == "disable" || text == "2") {
    *out = OrtOptimizationLevel::kDisable;
  } else if (text == "basic" || text == "-1") {
    *out = OrtOptimizationLevel::kBasic;
  } else if (text == "extended" || text == "1") {
    *out = OrtOptimizationLevel::kExtended;
  } else if (text == "all" || text == "0") {
    *out = OrtOptimizationLevel::kAll;
  } else {
    return false;
  }
  return true;
}

// "cpu:0"; the other devices that the library knows are not driven by this engine.
bool parse_shrinkage(std::string_view text, std::string* out) {
  if (!text.empty() && text != "cpu:0") return false;
  *out = text;
  return true;
}

// What load() made of `executionProviders`, in the names of native code.
void read_cuda_settings(const EngineOptions& options, CudaSettings* out) {
  constexpr std::string_view kProviderOption = "cuda.";
  constexpr std::string_view kTensorrtOption = "tensorrt.";
  int lanes = 0;
  out->device = options.cuda_device;
  for (const auto& [name, value] : options.settings) {
    if (name == "cuda_only") {
      out->cpu_nodes = value != "1";
    } else if (name == "cuda_pinned") {
      out->pinned = value != "0";
    } else if (name == "cuda_graph_lanes") {
      parse_integer(value, 0, 1024, &lanes);
    } else if (name == "cuda_library_path") {
      out->library_path = value;
    } else if (name == "tensorrt_cuda") {
      out->tensorrt.used = true;
      out->tensorrt.cuda_nodes = value != "0";
    } else if (name.starts_with(kTensorrtOption)) {
      out->tensorrt.options.emplace_back(name.substr(kTensorrtOption.size()), value);
    } else if (name.starts_with(kProviderOption)) {
      out->options.emplace_back(name.substr(kProviderOption.size()), value);
    }
  }
  out->graph_lanes = static_cast<uint32_t>(lanes);
}

void read_openvino_settings(const EngineOptions& options, OpenVinoSettings* out) {
  constexpr std::string_view kProviderOption = "openvino.";
  for (const auto& [name, value] : options.settings) {
    if (name == "openvino_only") {
      out->used = true;
      out->cpu_nodes = value != "1";
    } else if (name == "openvino_precision") {
      out->precision = value;
    } else if (name == "openvino_threads") {
      parse_integer(value, 0, kMaxThreads, &out->threads);
    } else if (name.starts_with(kProviderOption)) {
      out->options.emplace_back(name.substr(kProviderOption.size()), value);
    }
  }
}

constexpr const char* kThreadsLegal = "an integer from 0 to 1024 (0 = the default)";
constexpr const char* kSwitchLegal = "0 or 1";
constexpr const char* kLevelLegal =
    "disable, basic, extended or all (or Triton's numbers: 2 = disable, -1 = basic, 1 = extended, 0 = all)";

// Null when `value` is legal for `name` or the name is not ours; else what is legal.
const char* apply(std::string_view name, const std::string& value, OrtParameters* out) {
  if (name == "intra_op_thread_count") {
    return parse_integer(value, 0, kMaxThreads, &out->intra_op_threads) ? nullptr : kThreadsLegal;
  }
  if (name == "inter_op_thread_count") {
    return parse_integer(value, 0, kMaxThreads, &out->inter_op_threads) ? nullptr : kThreadsLegal;
  }
  if (name == "execution_mode") {
    return parse_execution_mode(value, &out->execution_mode) ? nullptr : "0 (sequential) or 1 (parallel)";
  }
  if (name == "optimization_level" || name == "level") {
    return parse_level(value, &out->optimization_level) ? nullptr : kLevelLegal;
  }
  if (name == "enable_mem_arena") return parse_switch(value, &out->mem_arena) ? nullptr : kSwitchLegal;
  if (name == "enable_mem_pattern") return parse_switch(value, &out->mem_pattern) ? nullptr : kSwitchLegal;
  if (name == "log_severity_level") {
    return parse_integer(value, 0, 4, &out->log_severity_level)
               ? nullptr
               : "0 (verbose), 1 (info), 2 (warning), 3 (error) or 4 (fatal)";
  }
  if (name == "memory.enable_memory_arena_shrinkage") {
    return parse_shrinkage(value, &out->arena_shrinkage) ? nullptr : "cpu:0";
  }
  if (name.starts_with("session.")) out->session_entries.emplace_back(name, value);
  return nullptr;
}

}  // namespace

Status parse_ort_parameters(const EngineOptions& options, OrtParameters* out) {
  read_cuda_settings(options, &out->cuda);
  read_openvino_settings(options, &out->openvino);
  // OpenVINO is to see the model as it was made: quantised operators that ONNX Runtime has fused are foreign to it.
  if (out->openvino.used) out->optimization_level = OrtOptimizationLevel::kDisable;
  for (const auto& [name, value] : options.parameters) {
    if (const char* legal = apply(name, value, out); legal != nullptr) {
      return Status::error(Code::kConfigInvalid,
                           "The parameter " + name + " is '" + one_line(value, 80) + "'; it must be " + legal + ".");
    }
  }
  if (!out->mem_arena && !out->arena_shrinkage.empty()) {
    return Status::error(Code::kConfigInvalid,
                         "The parameter memory.enable_memory_arena_shrinkage needs the arena that enable_mem_arena = 0 "
                         "turns off; set one of them only.");
  }
  return Status::ok();
}

}  // namespace subten
