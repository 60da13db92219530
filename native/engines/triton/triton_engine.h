// Triton Inference Server in this process, through its C API: every backend of Triton behind the interface of engine.h.
//
// Settings of EngineOptions: `repository` (folder that holds the model's), `model`, `version` ("": the newest that
// Triton serves), `config` (JSON of a ModelConfig that replaces the file's), `batching` ("subten": a batch is submitted
// whole; "triton": each request alone, Triton batches), and those of the server, see server_options.cc.
#pragma once

#include "engines/engine.h"

namespace subten {

Engine* triton_engine() noexcept;

}  // namespace subten
