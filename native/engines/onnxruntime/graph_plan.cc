#include "engines/onnxruntime/graph_plan.h"

#include <algorithm>
#include <cstring>

namespace subten {
namespace {

std::string no_shape(const char* kind, const TensorSpec& spec) {
  return std::string("the ") + kind + " '" + spec.name + "' has no fixed shape";
}

bool row_of(const TensorSpec& spec, bool batches, GraphTensor* out) {
  for (size_t d = batches ? 1 : 0; d < spec.shape.size(); ++d) {
    if (spec.shape[d] < 0) return false;
    out->row.push_back(spec.shape[d]);
  }
  uint64_t elements = 0;
  if ((batches && spec.shape.empty()) || !element_count(out->row.data(), out->row.size(), &elements)) return false;
  out->row_bytes = elements * element_size(spec.type);
  return out->row_bytes > 0;
}

// The batch dimension of an output is the batch's own.
bool follows_rows(const OutputPlan& plan, bool batches) noexcept {
  if (!plan.predictable) return false;
  if (!batches) return true;
  if (plan.rank == 0) return false;
  const OutputDimension& first = plan.dimensions[0];
  return first.source == OutputDimension::Source::kRows ||
         (first.source == OutputDimension::Source::kInput && first.dimension == 0);
}

}  // namespace

std::vector<uint32_t> graph_sizes(uint32_t most) {
  std::vector<uint32_t> sizes;
  for (uint32_t size = 1; size < most; size *= 2) sizes.push_back(size);
  sizes.push_back(std::max<uint32_t>(most, 1));
  return sizes;
}

std::string plan_graphs(const OrtModelState& model, int32_t max_batch_size, GraphPlan* out) {
  out->batches = max_batch_size > 0;
  const ModelSpec& spec = model.spec;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    GraphTensor tensor{model.input_names[i], model.input_types[i], {}, 0};
    if (spec.inputs[i].optional) return "the input '" + spec.inputs[i].name + "' is optional";
    if (spec.inputs[i].type == DataType::kBytes) return "the input '" + spec.inputs[i].name + "' has strings";
    if (!row_of(spec.inputs[i], out->batches, &tensor)) return no_shape("input", spec.inputs[i]);
    out->inputs.push_back(std::move(tensor));
  }
  for (size_t i = 0; i < spec.outputs.size(); ++i) {
    GraphTensor tensor{model.output_names[i], model.output_types[i], {}, 0};
    if (spec.outputs[i].type == DataType::kBytes || !follows_rows(model.plans[i], out->batches) ||
        !row_of(spec.outputs[i], out->batches, &tensor)) {
      return no_shape("output", spec.outputs[i]);
    }
    out->outputs.push_back(std::move(tensor));
  }
  out->sizes = graph_sizes(out->batches ? static_cast<uint32_t>(max_batch_size) : 1);
  return {};
}

Shape graph_shape(const GraphPlan& plan, const GraphTensor& tensor, uint32_t rows) {
  Shape shape;
  if (plan.batches) shape.push_back(rows);
  for (const int64_t dim : tensor.row) shape.push_back(dim);
  return shape;
}

}  // namespace subten
