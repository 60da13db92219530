// What a plan says of itself, and for which batch sizes it is made ready.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engines/cuda/lane.h"
#include "engines/engine.h"

namespace subten {

struct TensorrtPlanSpec {
  ModelSpec model;  // metadata included
  LanePlan lane;
  std::vector<int32_t> profiles;  // for each of LanePlan::sizes, the optimisation profile that runs it
  uint64_t context_memory = 0;    // bytes on the device that the context of any of them needs while it runs
};

// What of a plan is used.
struct PlanUse {
  int32_t max_batch_size = 0;     // -1: the largest that the plan has
  std::vector<int32_t> profiles;  // the optimisation profiles that may be used; empty: all
};

// Batch sizes of one optimisation profile.
struct ProfileRows {
  int64_t min = 1;
  int64_t opt = 1;
  int64_t max = 1;
};

// Batch sizes to make ready: powers of two and what profiles are tuned for, as far as a profile has them, up to `most`.
// For each the profile whose range is the narrowest around it.
void choose_sizes(const std::vector<ProfileRows>& profiles, uint32_t most, std::vector<uint32_t>* sizes,
                  std::vector<int32_t>* chosen);

// `json` is what TensorrtPlugin::describe wrote. CONFIG_INVALID where `use` and the plan's profiles do not fit,
// NOT_SUPPORTED for tensors that this version does not run: shape tensors, vectorised formats, unknown dimensions
// beside the batch, types that KServe has no word for.
Status read_plan_spec(std::string_view json, const PlanUse& use, TensorrtPlanSpec* out);

}  // namespace subten
