// A lane (engines/cuda/lane.h) with execution contexts of a plan, one for each optimisation profile that its batch
// sizes use. A run of each size is recorded when the lane opens, and launched as one.
#pragma once

#include <memory>

#include "engines/cuda/lane.h"
#include "engines/tensorrt/library.h"
#include "engines/tensorrt/plan_spec.h"

namespace subten {

struct TensorrtLaneOptions {
  const TensorrtPlugin* plugin = nullptr;
  TensorrtEngine* engine = nullptr;  // outlives the lane
  int device = 0;
  bool graphs = true;
  LaneStages* stages = nullptr;  // outlives the lane
};

// `spec` outlives the lane. `*not_recorded` says why runs are enqueued one by one instead, or is empty.
Status create_tensorrt_lane(const TensorrtPlanSpec& spec, const TensorrtLaneOptions& options,
                            std::unique_ptr<CudaLane>* out, std::string* not_recorded);

}  // namespace subten
