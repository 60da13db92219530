#include "triton_backend/model_config.h"

#include <algorithm>

namespace subten::triton_backend {
namespace {

constexpr std::string_view kTypePrefix = "TYPE_";
constexpr const char* kDefaultFile = "model.onnx";

std::string type_name(DataType type) {
  return std::string(kTypePrefix) + (type == DataType::kBytes ? "STRING" : std::string(datatype_name(type)));
}

std::optional<DataType> type_of(std::string_view name) noexcept {
  if (name == "TYPE_STRING") return DataType::kBytes;
  if (!name.starts_with(kTypePrefix)) return std::nullopt;
  for (size_t index = 0; index < kDataTypeCount; ++index) {
    const auto type = static_cast<DataType>(index);
    if (type != DataType::kBytes && datatype_name(type) == name.substr(kTypePrefix.size())) return type;
  }
  return std::nullopt;
}

std::string dims_text(const Shape& dims) {
  std::string text = "[";
  for (size_t index = 0; index < dims.size(); ++index) {
    text += (index == 0 ? " " : ", ") + std::to_string(dims[index]);
  }
  return text + " ]";
}

Shape numbers_of(const Json& array) {
  Shape shape;
  for (const Json& item : array.items) shape.push_back(item.integer(-1));
  return shape;
}

ConfigTensor read_tensor(const Json& json) {
  ConfigTensor tensor;
  tensor.name = json.text_of("name");
  tensor.type_name = json.text_of("data_type");
  tensor.type = type_of(tensor.type_name);
  tensor.optional = json.true_of("optional");
  if (const Json* dims = json.find("dims"); dims != nullptr && !dims->items.empty()) {
    tensor.dims = numbers_of(*dims);
    tensor.has_dims = true;
  }
  if (const Json* reshape = json.find("reshape"); reshape != nullptr && reshape->kind == Json::Kind::kObject) {
    const Json* shape = reshape->find("shape");
    tensor.dims = shape == nullptr ? Shape{} : numbers_of(*shape);
    tensor.has_dims = true;
  }
  if (json.true_of("allow_ragged_batch")) tensor.unsupported = "allow_ragged_batch";
  if (json.true_of("is_shape_tensor")) tensor.unsupported = "is_shape_tensor";
  return tensor;
}

std::vector<ConfigTensor> read_tensors(const Json& json, std::string_view name) {
  std::vector<ConfigTensor> tensors;
  if (const Json* list = json.find(name); list != nullptr) {
    for (const Json& item : list->items) tensors.push_back(read_tensor(item));
  }
  return tensors;
}

bool has_items(const Json& json, std::string_view name) noexcept {
  const Json* list = json.find(name);
  return list != nullptr && !list->items.empty();
}

const TensorSpec* find_spec(const std::vector<TensorSpec>& specs, std::string_view name) noexcept {
  const auto found =
      std::find_if(specs.begin(), specs.end(), [&](const TensorSpec& spec) { return spec.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

std::string names_of(const std::vector<TensorSpec>& specs) {
  std::string text;
  for (const TensorSpec& spec : specs) text += (text.empty() ? "'" : ", '") + spec.name + "'";
  return text.empty() ? "none" : text;
}

bool dynamic_first(const TensorSpec& spec) noexcept { return !spec.shape.empty() && spec.shape[0] == -1; }

// Whether the tensors that the configuration lists are written without the first dimension of the model's.
bool written_as_rows(const std::vector<ConfigTensor>& tensors, const std::vector<TensorSpec>& specs) noexcept {
  return std::all_of(tensors.begin(), tensors.end(), [&](const ConfigTensor& tensor) {
    const TensorSpec* spec = find_spec(specs, tensor.name);
    return spec == nullptr || !tensor.has_dims || tensor.dims.size() + 1 == spec->shape.size();
  });
}

bool can_batch(const ModelConfig& config, const ModelSpec& spec) noexcept {
  const auto batches = [](const TensorSpec& tensor) { return tensor.optional || dynamic_first(tensor); };
  return !spec.inputs.empty() && std::all_of(spec.inputs.begin(), spec.inputs.end(), batches) &&
         std::all_of(spec.outputs.begin(), spec.outputs.end(), batches) &&
         written_as_rows(config.inputs, spec.inputs) && written_as_rows(config.outputs, spec.outputs);
}

// A tensor without dimensions is written as one element, since a configuration must name dims: with the rows of a batch
// by a reshape, else (where Triton has no such reshape) as it stands, and the backend takes one for the other.
bool complete_tensor(const TensorSpec& spec, bool batches, const ConfigTensor* given, Json* json) {
  bool changed = false;
  if (given == nullptr) {
    json->member("name") = Json::string(spec.name);
    if (spec.optional) json->member("optional") = Json::boolean(true);
    changed = true;
  }
  if (given == nullptr || (!given->type && (given->type_name.empty() || given->type_name == "TYPE_INVALID"))) {
    json->member("data_type") = Json::string(type_name(spec.type));
    changed = true;
  }
  if (given == nullptr || !given->has_dims) {
    Shape dims = spec.shape;
    if (batches && !dims.empty()) dims.erase(dims.begin());
    if (dims.empty()) {
      dims = {1};
      if (batches) {
        Json reshape = Json::object();
        reshape.member("shape") = Json::array();
        json->member("reshape") = std::move(reshape);
      }
    }
    json->member("dims") = Json::array(dims);
    changed = true;
  }
  return changed;
}

bool complete_tensors(const std::vector<TensorSpec>& specs, const std::vector<ConfigTensor>& given,
                      const std::vector<std::string>& elsewhere, bool batches, bool outputs, Json* list) {
  bool changed = false;
  list->kind = Json::Kind::kArray;
  for (const TensorSpec& spec : specs) {
    const auto found =
        std::find_if(given.begin(), given.end(), [&](const ConfigTensor& tensor) { return tensor.name == spec.name; });
    if (found != given.end()) {
      changed |= complete_tensor(spec, batches, &*found, &list->items[static_cast<size_t>(found - given.begin())]);
      continue;
    }
    if (std::find(elsewhere.begin(), elsewhere.end(), spec.name) != elsewhere.end()) continue;
    // A list of outputs may be a choice; an initializer that may be overridden cannot have rows.
    if ((outputs && !given.empty()) || (spec.optional && (batches || !given.empty()))) continue;
    Json entry = Json::object();
    changed |= complete_tensor(spec, batches, nullptr, &entry);
    list->items.push_back(std::move(entry));
  }
  return changed;
}

Status invalid(std::string message) { return Status::error(Code::kConfigInvalid, std::move(message)); }

std::string subject(bool output, const std::string& name) {
  return (output ? "The output '" : "The input '") + name + "' ";
}

Status check_rows(const ModelConfig& config, const TensorSpec& spec, bool output) {
  if (!config.batches() || dynamic_first(spec)) return Status::ok();
  if (!spec.shape.empty() && spec.shape[0] == 1 && config.max_batch_size == 1) return Status::ok();
  return invalid(subject(output, spec.name) + "has the shape " + dims_text(spec.shape) +
                 " in the model, whose first dimension is not dynamic, but max_batch_size is " +
                 std::to_string(config.max_batch_size) +
                 ": export the model with a dynamic first dimension, or set max_batch_size: 0 and write whole shapes.");
}

Status check_dims(const ModelConfig& config, const ConfigTensor& tensor, const TensorSpec& spec, bool output) {
  Shape expected = spec.shape;
  if (config.batches()) expected.erase(expected.begin());
  if (!config.batches() && expected.empty()) expected = {1};
  bool fits = tensor.dims.size() == expected.size();
  for (size_t d = 0; fits && d < expected.size(); ++d) fits = expected[d] == -1 || expected[d] == tensor.dims[d];
  if (fits) return Status::ok();
  const std::string batch_note = config.batches() ? " (without the batch dimension, since max_batch_size is " +
                                                        std::to_string(config.max_batch_size) + ")"
                                                  : std::string(" (the whole shape, since max_batch_size is 0)");
  return invalid(subject(output, tensor.name) + "has dims " + dims_text(tensor.dims) +
                 " in the configuration, but the model has " + dims_text(expected) + batch_note + ": write dims: " +
                 dims_text(expected) + (expected.empty() ? " as dims: [ 1 ] reshape: { shape: [ ] }." : "."));
}

Status check_tensor(const ModelConfig& config, const ConfigTensor& tensor, const std::vector<TensorSpec>& specs,
                    bool output) {
  const TensorSpec* spec = find_spec(specs, tensor.name);
  const char* kind = output ? "outputs" : "inputs";
  if (spec == nullptr) {
    return invalid(subject(output, tensor.name) + "of the configuration is not in the model, whose " + kind + " are " +
                   names_of(specs) + ": correct or remove it.");
  }
  if (!tensor.unsupported.empty()) {
    return invalid(subject(output, tensor.name) + "sets " + tensor.unsupported +
                   ", which subten_onnxruntime does not serve: remove it.");
  }
  if (tensor.type != spec->type) {
    return invalid(subject(output, tensor.name) + "has data_type " +
                   (tensor.type_name.empty() ? "TYPE_INVALID" : tensor.type_name) +
                   " in the configuration, but the model has " + type_name(spec->type) +
                   ": write data_type: " + type_name(spec->type) + ".");
  }
  if (tensor.optional && !spec->optional) {
    return invalid(subject(output, tensor.name) +
                   "is optional in the configuration, but the model needs it: remove `optional`, or give the model an "
                   "initializer of that name, which then is its value where a request has none.");
  }
  if (Status status = check_rows(config, *spec, output); !status.is_ok()) return status;
  return check_dims(config, tensor, *spec, output);
}

bool lists(const ModelConfig& config, const std::string& name) noexcept {
  return std::any_of(config.inputs.begin(), config.inputs.end(), [&](const auto& t) { return t.name == name; }) ||
         std::find(config.control_inputs.begin(), config.control_inputs.end(), name) != config.control_inputs.end();
}

}  // namespace

ModelConfig read_model_config(const Json& json) {
  ModelConfig config;
  config.max_batch_size = json.integer_of("max_batch_size");
  config.inputs = read_tensors(json, "input");
  config.outputs = read_tensors(json, "output");
  config.file_name = json.text_of("default_model_filename");
  if (config.file_name.empty()) config.file_name = kDefaultFile;
  if (const Json* sequences = json.find("sequence_batching"); sequences != nullptr) {
    if (const Json* controls = sequences->find("control_input"); controls != nullptr) {
      for (const Json& control : controls->items) config.control_inputs.emplace_back(control.text_of("name"));
    }
    if (has_items(*sequences, "state")) config.unsupported = "sequence_batching.state";
  }
  for (const char* part : {"batch_input", "batch_output"}) {
    if (has_items(json, part)) config.unsupported = part;
  }
  if (const Json* parameters = json.find("parameters"); parameters != nullptr) {
    for (const auto& [name, value] : parameters->members) {
      config.parameters.emplace_back(name, value.text_of("string_value"));
    }
  }
  return config;
}

std::vector<TensorSpec> engine_tensors(const ModelConfig& config, const std::vector<ConfigTensor>& tensors) {
  std::vector<TensorSpec> specs;
  for (const ConfigTensor& tensor : tensors) {
    TensorSpec& spec = specs.emplace_back();
    spec.name = tensor.name;
    spec.type = tensor.type.value_or(DataType::kFp32);
    spec.optional = tensor.optional;
    if (!tensor.has_dims) continue;
    if (config.batches()) spec.shape.push_back(-1);
    spec.shape.insert(spec.shape.end(), tensor.dims.begin(), tensor.dims.end());
  }
  return specs;
}

bool complete_config(const ModelSpec& spec, int64_t default_batch, Json* json) {
  const ModelConfig config = read_model_config(*json);
  bool changed = false;
  bool batches = config.batches();
  if (!batches && default_batch > 0 && can_batch(config, spec)) {
    batches = true;
    changed = true;
    json->member("max_batch_size") = Json::number(default_batch);
    if (default_batch > 1 && json->find("dynamic_batching") == nullptr && json->find("sequence_batching") == nullptr) {
      json->member("dynamic_batching") = Json::object();
    }
  }
  changed |=
      complete_tensors(spec.inputs, config.inputs, config.control_inputs, batches, false, &json->member("input"));
  changed |= complete_tensors(spec.outputs, config.outputs, {}, batches, true, &json->member("output"));
  return changed;
}

Status check_config(const ModelConfig& config, const ModelSpec& spec) {
  if (!config.unsupported.empty()) {
    return invalid("The configuration has " + config.unsupported +
                   ", which subten_onnxruntime does not serve: remove it, or use another backend.");
  }
  for (const ConfigTensor& tensor : config.inputs) {
    if (Status status = check_tensor(config, tensor, spec.inputs, false); !status.is_ok()) return status;
  }
  for (const ConfigTensor& tensor : config.outputs) {
    if (Status status = check_tensor(config, tensor, spec.outputs, true); !status.is_ok()) return status;
  }
  for (const TensorSpec& tensor : spec.inputs) {
    if (tensor.optional || lists(config, tensor.name)) continue;
    Shape dims = tensor.shape;
    if (config.batches() && !dims.empty()) dims.erase(dims.begin());
    return invalid("The input '" + tensor.name + "' of the model is missing in the configuration: add { name: \"" +
                   tensor.name + "\" data_type: " + type_name(tensor.type) + " dims: " + dims_text(dims) +
                   " } to `input`.");
  }
  return Status::ok();
}

}  // namespace subten::triton_backend
