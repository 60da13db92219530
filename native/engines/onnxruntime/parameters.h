// The settings of a model that this engine understands, under the names of Triton's ONNX Runtime backend.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engines/engine.h"
#include "engines/onnxruntime/cuda_provider.h"
#include "engines/onnxruntime/openvino_provider.h"
#include "engines/onnxruntime/ort_api.h"

namespace subten {

struct OrtParameters {
  int intra_op_threads = 0;  // 0 = the pool shared by all models
  int inter_op_threads = 0;  // 0 = as many as compute together; matters in parallel mode
  OrtExecutionMode execution_mode = OrtExecutionMode::kSequential;
  OrtOptimizationLevel optimization_level = OrtOptimizationLevel::kAll;  // of OpenVINO's models: none, it has its own
  bool mem_arena = true;
  bool mem_pattern = true;
  int log_severity_level = -1;  // -1 = warnings and errors, kept but not printed
  std::string arena_shrinkage;  // "cpu:0"; empty = the arena keeps its memory between runs
  std::vector<std::pair<std::string, std::string>> session_entries;  // names that begin with `session.`

  CudaSettings cuda;  // EngineOptions::cuda_device, and its settings
  OpenVinoSettings openvino;

  // A pool of its own instead of the shared one.
  bool own_threads() const noexcept { return intra_op_threads > 0 || execution_mode == OrtExecutionMode::kParallel; }
};

// Names that mean nothing here are left to others (Triton's models carry them). A value that is not legal for a known
// name: CONFIG_INVALID with the name, the value and what is legal.
Status parse_ort_parameters(const EngineOptions& options, OrtParameters* out);

}  // namespace subten
