// A lane (engines/cuda/lane.h) with a session of its own, whose runs ONNX Runtime records as CUDA graphs.
//
// A run of a network is one launch for each of its operators: at small batches the CPU needs longer to launch them than
// the device to compute them. Recorded once for a batch size, all of them are one launch.
#pragma once

#include <memory>

#include "engines/onnxruntime/graph_plan.h"

namespace subten {

struct GraphLaneOptions {
  std::string model_path;
  OrtParameters parameters;
  int device = 0;
  // For tests with a driver of theirs, whose memory is the host's: the session runs on the CPU.
  bool session_on_cpu = false;
  LaneStages* stages = nullptr;  // outlives the lane
};

// Opens the session and records every batch size: seconds. `plan` outlives the lane.
Status create_graph_lane(const GraphPlan& plan, GraphLaneOptions options, std::unique_ptr<CudaLane>* out);

}  // namespace subten
