// ONNX → plan file, by the builder of TensorRT's library.
#pragma once

#include <span>
#include <string>

#include "memory/status.h"

namespace subten {

// Arguments: the request (JSON, see plugin/build.cc), the file to write, the library that was asked for or "", the one
// that was installed or "". The answer is the report (JSON) with `library`, `version`, `bytes`, `sha256` and `seconds`.
// TensorRT builds for the GPU of the machine and needs its driver; TensorRT for RTX needs none. The file is whole or
// not there. Minutes for large models; one build at a time.
Status build_tensorrt_plan(std::span<const std::string> arguments, std::string* answer);

}  // namespace subten
