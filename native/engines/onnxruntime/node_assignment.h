// Which execution provider computes which operators of a model.
#pragma once

#include <string>

#include "engines/onnxruntime/ort_api.h"
#include "memory/status.h"

namespace subten {

// Whether operators that the providers of `options` do not have may run on the CPU, or make the session an error; and
// that the session remembers what went where.
Status set_cpu_nodes(bool allowed, OrtSessionOptions* options);

// What of the model runs where: "CUDAExecutionProvider 122, CPUExecutionProvider 2 (Shape, Gather)". Empty where the
// library does not say.
std::string where_nodes_run(const OrtSession* session);

}  // namespace subten
