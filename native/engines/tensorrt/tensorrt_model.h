// A plan on a device: one deserialised engine, a lane for each instance.
#pragma once

#include <memory>

#include "engines/engine.h"

namespace subten {

// Settings: `instances` (lanes to make), `plan_sha256` (the digest that the file must have), `installed_library`.
// Parameters: `graphs` and `pinned_memory` (0 or 1; both 1).
//
// Checked in this order: the file and its digest, the driver and the device, the library, the plan. MODEL_NOT_FOUND,
// MODEL_INVALID (another digest, or TensorRT refuses it), CONFIG_INVALID, NOT_SUPPORTED, errors of load_cuda_driver()
// and load_tensorrt(), OUT_OF_MEMORY.
Status open_tensorrt_model(const EngineOptions& options, std::unique_ptr<EngineModel>* out);

}  // namespace subten
