#include "engines/onnxruntime/graph_plan.h"

namespace subten {
namespace {

std::string no_shape(const char* kind, const TensorSpec& spec) {
  return std::string("the ") + kind + " '" + spec.name + "' has no fixed shape";
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

std::string plan_graphs(const OrtModelState& model, int32_t max_batch_size, GraphPlan* out) {
  LanePlan& lane = out->lane;
  lane.batches = max_batch_size > 0;
  const ModelSpec& spec = model.spec;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    LaneTensor tensor;
    if (spec.inputs[i].optional) return "the input '" + spec.inputs[i].name + "' is optional";
    if (spec.inputs[i].type == DataType::kBytes) return "the input '" + spec.inputs[i].name + "' has strings";
    if (!lane_tensor(spec.inputs[i], lane.batches, &tensor)) return no_shape("input", spec.inputs[i]);
    lane.inputs.push_back(std::move(tensor));
    out->input_types.push_back(model.input_types[i]);
  }
  for (size_t i = 0; i < spec.outputs.size(); ++i) {
    LaneTensor tensor;
    if (spec.outputs[i].type == DataType::kBytes || !follows_rows(model.plans[i], lane.batches) ||
        !lane_tensor(spec.outputs[i], lane.batches, &tensor)) {
      return no_shape("output", spec.outputs[i]);
    }
    lane.outputs.push_back(std::move(tensor));
    out->output_types.push_back(model.output_types[i]);
  }
  lane.sizes = lane_sizes(lane.batches ? static_cast<uint32_t>(max_batch_size) : 1);
  return {};
}

}  // namespace subten
