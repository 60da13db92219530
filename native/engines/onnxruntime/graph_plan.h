// Which models can run as CUDA graphs, and for which batch sizes.
#pragma once

#include <string>
#include <vector>

#include "engines/cuda/lane.h"
#include "engines/onnxruntime/session.h"

namespace subten {

// A batch is padded to the next size: kernels are chosen and recorded once for each, since ONNX Runtime plans every
// convolution anew whenever the batch size changes (hundreds of milliseconds for a ResNet-50).
struct GraphPlan {
  LanePlan lane;
  std::vector<OrtElementType> input_types;
  std::vector<OrtElementType> output_types;
};

// Why the model cannot be recorded, or empty: shapes that are known beside the batch are needed, and no strings.
std::string plan_graphs(const OrtModelState& model, int32_t max_batch_size, GraphPlan* out);

}  // namespace subten
