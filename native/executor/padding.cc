#include "executor/padding.h"

#include "engines/engine.h"
#include "executor/model_core.h"

namespace subten {

Status check_padding(const ModelSpec& spec, const CoreOptions& options) {
  if (options.batch.max_batch_size == 0) {
    return Status::error(Code::kConfigInvalid,
                         "deterministic fills batches up to max_batch_size, which is 0: set it in config.pbtxt, or "
                         "leave deterministic out, since each request runs alone");
  }
  if (options.decoupled) {
    return Status::error(Code::kNotSupported,
                         "deterministic cannot fill up the batches of a decoupled model: leave it out for this model");
  }
  for (const TensorSpec& input : spec.inputs) {
    if (input.type == DataType::kBytes) {
      return Status::error(Code::kNotSupported, "deterministic cannot fill up input '" + input.name +
                                                    "', which has strings: leave it out for this model");
    }
    if (input.ragged) {
      return Status::error(Code::kNotSupported, "deterministic cannot fill up input '" + input.name +
                                                    "', whose rows differ in shape: take allow_ragged_batch out of "
                                                    "config.pbtxt, or leave deterministic out");
    }
  }
  return Status::ok();
}

}  // namespace subten
