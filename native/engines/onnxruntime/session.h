// A loaded ONNX model: the session, what it declares, and how much of its outputs is known before a run.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "engines/engine.h"
#include "engines/onnxruntime/ort_api.h"
#include "engines/onnxruntime/parameters.h"

namespace subten {

// Where a dimension of an output comes from.
struct OutputDimension {
  enum class Source : uint8_t { kFixed, kRows, kInput };
  Source source = Source::kFixed;
  uint8_t input = 0;  // kInput: the input, and which of its dimensions has the same symbol
  uint8_t dimension = 0;
  int64_t value = 0;  // kFixed
};

// An output whose shape is known before the run can be written straight into the slab.
struct OutputPlan {
  bool predictable = false;
  uint8_t rank = 0;
  std::array<OutputDimension, kMaxRank> dimensions;
};

// Not movable: `input_names` and `output_names` point into `spec`.
struct OrtModelState {
  OrtModelState() = default;
  OrtModelState(const OrtModelState&) = delete;
  OrtModelState& operator=(const OrtModelState&) = delete;
  ~OrtModelState();

  OrtOwned<OrtSession> session;
  OrtParameters parameters;
  ModelSpec spec;
  std::vector<OrtElementType> input_types;
  std::vector<OrtElementType> output_types;
  std::vector<const char*> input_names;
  std::vector<const char*> output_names;
  std::vector<OutputPlan> plans;
  // False once a run has shown that the shapes which the model declares are not those it gives.
  std::atomic<bool> plans_hold{true};
};

// A further session of the same file.
Status create_ort_session(const std::string& path, const OrtParameters& parameters, OrtOwned<OrtSession>* out);

// MODEL_NOT_FOUND, MODEL_INVALID, NOT_SUPPORTED (naming the tensor), CONFIG_INVALID.
Status open_ort_model(const EngineOptions& options, std::unique_ptr<OrtModelState>* out);

}  // namespace subten
