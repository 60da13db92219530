// A model's configuration as the server has it: what we read of it, what we can complete from the model file, and
// whether both agree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engines/common/json.h"
#include "engines/engine.h"
#include "memory/status.h"

namespace subten::triton_backend {

struct ConfigTensor {
  std::string name;
  std::optional<DataType> type;  // nothing = the configuration leaves it open
  std::string type_name;         // as the configuration writes it
  Shape dims;                    // as the model sees them (`reshape` where there is one), without the batch dimension
  bool has_dims = false;
  bool optional = false;
  std::string unsupported;  // a property that this backend does not serve
};

struct ModelConfig {
  int64_t max_batch_size = 0;
  std::vector<ConfigTensor> inputs;
  std::vector<ConfigTensor> outputs;
  std::vector<std::string> control_inputs;  // that the sequence batcher adds to the requests
  std::string file_name;                    // default_model_filename, or model.onnx
  std::string unsupported;                  // a part of the configuration that this backend does not serve
  std::vector<std::pair<std::string, std::string>> parameters;

  bool batches() const noexcept { return max_batch_size > 0; }
};

ModelConfig read_model_config(const Json& json);

// The tensors as the engine takes them: whole shapes, batch dimension included.
std::vector<TensorSpec> engine_tensors(const ModelConfig& config, const std::vector<ConfigTensor>& tensors);

// Writes what the configuration leaves open into it: inputs, outputs, types, dims; max_batch_size (then
// `default_batch`, and dynamic batching) where it is 0, every tensor of the model has a dynamic first dimension, and
// the tensors that the configuration lists are written without it. True when something was written.
bool complete_config(const ModelSpec& spec, int64_t default_batch, Json* json);

// CONFIG_INVALID with the tensor, what is wrong, and what to write.
Status check_config(const ModelConfig& config, const ModelSpec& spec);

}  // namespace subten::triton_backend
