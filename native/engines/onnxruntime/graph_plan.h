// Which models can run as CUDA graphs, and for which batch sizes.
#pragma once

#include <string>
#include <vector>

#include "engines/onnxruntime/session.h"

namespace subten {

// A tensor of a whole batch on the device: `rows` times the shape of one row, or the one shape of a model that does not
// batch.
struct GraphTensor {
  const char* name = nullptr;  // of the model's state
  OrtElementType type = OrtElementType::kUndefined;
  Shape row;  // without the batch dimension
  uint64_t row_bytes = 0;
};

struct GraphPlan {
  std::vector<GraphTensor> inputs;
  std::vector<GraphTensor> outputs;
  // Ascending. A batch is padded to the next size: kernels are chosen and recorded once for each, since ONNX Runtime
  // plans every convolution anew whenever the batch size changes (hundreds of milliseconds for a ResNet-50).
  std::vector<uint32_t> sizes;
  bool batches = false;
};

// Powers of two up to `most`, and `most`.
std::vector<uint32_t> graph_sizes(uint32_t most);

// Why the model cannot be recorded, or empty: shapes that are known beside the batch are needed, and no strings.
std::string plan_graphs(const OrtModelState& model, int32_t max_batch_size, GraphPlan* out);

// `rows` rows of the tensor.
Shape graph_shape(const GraphPlan& plan, const GraphTensor& tensor, uint32_t rows);

}  // namespace subten
