// The engine `tensorrt`: plans of TensorRT and TensorRT for RTX on NVIDIA GPUs.
#pragma once

#include <string>

#include "engines/engine.h"

namespace subten {

Engine* tensorrt_engine() noexcept;
// Where the shared objects that drive TensorRT are looked for when they are not beside the addon.
void set_tensorrt_folder(const std::string& folder);

}  // namespace subten
