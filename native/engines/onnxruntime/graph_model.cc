#include "engines/onnxruntime/graph_model.h"

#include <string>
#include <utility>

#include "engines/onnxruntime/node_assignment.h"

namespace subten {

Status GraphModel::open(const EngineOptions& options, std::unique_ptr<OrtModelState>* state,
                        std::unique_ptr<EngineModel>* out) {
  const CudaSettings& cuda = (*state)->parameters.cuda;
  auto& metadata = (*state)->spec.metadata;
  if (!cuda.used() || cuda.graph_lanes == 0) return Status::ok();
  GraphPlan plan;
  std::string reason = plan_graphs(**state, options.max_batch_size, &plan);
  if (const std::string nodes = where_nodes_run((*state)->session.get());
      reason.empty() && nodes.find("CPUExecutionProvider") != std::string::npos) {
    reason = "some operators run on the CPU";
  }
  if (!reason.empty()) {
    metadata.emplace_back("cuda graphs", "none: " + reason);
    return Status::ok();
  }
  metadata.emplace_back("cuda graphs", "batches of " + lane_sizes_text(plan.lane.sizes) + "; " +
                                           std::to_string(cuda.graph_lanes) +
                                           (cuda.graph_lanes == 1 ? " stream" : " streams"));
  // The lanes have sessions of their own.
  (*state)->session.reset();
  std::unique_ptr<GraphModel> self(new GraphModel(std::move(*state)));
  self->plan_ = std::move(plan);
  self->stages_.initialise();
  for (uint32_t i = 0; i < self->state_->parameters.cuda.graph_lanes; ++i) {
    GraphLaneOptions lane{options.model_path, self->state_->parameters, self->state_->parameters.cuda.device};
    lane.stages = &self->stages_;
    std::unique_ptr<CudaLane> made;
    if (Status status = create_graph_lane(self->plan_, std::move(lane), &made); !status.is_ok()) return status;
    self->lanes_.push_back(std::move(made));
  }
  *out = std::move(self);
  return Status::ok();
}

Status GraphModel::use_memory(void* start, uint64_t bytes) {
  const CudaSettings& cuda = state_->parameters.cuda;
  return cuda.pinned ? lock_request_memory(cuda, start, bytes, &memory_) : Status::ok();
}

Status GraphModel::create_instance(std::unique_ptr<EngineInstance>* out) {
  const std::lock_guard lock(mutex_);
  if (lanes_.empty()) return Status::error(Code::kEngineFailed, "The model has no stream left for another instance.");
  *out = std::make_unique<LaneInstance>(std::move(lanes_.back()));
  lanes_.pop_back();
  return Status::ok();
}

}  // namespace subten
