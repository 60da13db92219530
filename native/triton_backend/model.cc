#include "triton_backend/model.h"

#include <utility>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/library.h"
#include "triton_backend/errors.h"

namespace subten::triton_backend {
namespace {

constexpr uint32_t kConfigVersion = 1;
constexpr int kCpu = -1;

Status read_message(Message* message, Json* json) {
  const Owned<Message> owner(message);
  const char* text = nullptr;
  size_t bytes = 0;
  if (Status status = taken(api().TRITONSERVER_MessageSerializeToJson(message, &text, &bytes), "Triton gives no JSON");
      !status.is_ok()) {
    return status;
  }
  if (!parse_json({text, bytes}, json)) {
    return Status::error(Code::kEngineFailed, "Triton's configuration is not the JSON that it should be.");
  }
  return Status::ok();
}

Status set_config(Model* model, const Json& json) {
  const std::string text = write_json(json);
  Message* raw_message = nullptr;
  if (Status status = taken(api().TRITONSERVER_MessageNewFromSerializedJson(&raw_message, text.data(), text.size()),
                            "Triton does not take the completed configuration");
      !status.is_ok()) {
    return status;
  }
  const Owned<Message> message(raw_message);
  return taken(api().TRITONBACKEND_ModelSetConfig(model, kConfigVersion, raw_message),
               "Triton does not take the completed configuration");
}

// An output that has its rows from nothing but `max_batch_size` has none in a model that does not batch.
void forget_rows(OrtModelState* state) noexcept {
  for (OutputPlan& plan : state->plans) {
    for (size_t d = 0; d < plan.rank; ++d) {
      if (plan.dimensions[d].source == OutputDimension::Source::kRows) plan.predictable = false;
    }
  }
}

}  // namespace

Status read_backend_settings(Backend* backend, BackendSettings* out) {
  ArtifactType type{};
  const char* folder = nullptr;
  if (Status status = taken(api().TRITONBACKEND_BackendArtifacts(backend, &type, &folder), "Triton names no folder");
      !status.is_ok()) {
    return status;
  }
  out->library.folder = folder;
  Message* message = nullptr;
  if (Status status = taken(api().TRITONBACKEND_BackendConfig(backend, &message), "Triton gives no backend config");
      !status.is_ok()) {
    return status;
  }
  // The message is the server's.
  const char* text = nullptr;
  size_t bytes = 0;
  if (Status status = taken(api().TRITONSERVER_MessageSerializeToJson(message, &text, &bytes), "Triton gives no JSON");
      !status.is_ok()) {
    return status;
  }
  Json json;
  if (!parse_json({text, bytes}, &json)) return Status::ok();
  const Json* values = json.find("cmdline");
  if (values == nullptr) return Status::ok();
  out->library.backend_config = values->text_of("onnxruntime_library");
  out->default_batch = values->integer_of("default-max-batch-size", out->default_batch);
  if (values->find("compute_threads") != nullptr) {
    const int64_t threads = values->integer_of("compute_threads", -1);
    if (threads < 0 || threads > 1024) {
      out->problem = "The backend config compute_threads is '" + std::string(values->text_of("compute_threads")) +
                     "'; it must be an integer from 0 to 1024 (0 = as many as this process may run on).";
    } else {
      out->compute_threads = static_cast<int>(threads);
    }
  }
  return Status::ok();
}

Status ServedModel::read_config(Model* model, Json* json) {
  Message* message = nullptr;
  if (Status status = taken(api().TRITONBACKEND_ModelConfig(model, kConfigVersion, &message), "Triton gives no config");
      !status.is_ok()) {
    return status;
  }
  if (Status status = read_message(message, json); !status.is_ok()) return status;
  config_ = read_model_config(*json);
  return Status::ok();
}

Status ServedModel::create(Model* model, const BackendSettings& settings, std::unique_ptr<ServedModel>* out) {
  std::unique_ptr<ServedModel> self(new ServedModel);
  const char* name = nullptr;
  if (Status status = taken(api().TRITONBACKEND_ModelName(model, &name), "Triton does not name the model");
      !status.is_ok()) {
    return status;
  }
  self->name_ = name;
  if (!settings.problem.empty()) return Status::error(Code::kConfigInvalid, settings.problem);
  Json json;
  if (Status status = self->read_config(model, &json); !status.is_ok()) return status;

  ArtifactType type{};
  const char* folder = nullptr;
  uint64_t version = 0;
  Status status = taken(api().TRITONBACKEND_ModelRepository(model, &type, &folder), "Triton names no repository");
  if (status.is_ok()) status = taken(api().TRITONBACKEND_ModelVersion(model, &version), "Triton names no version");
  if (!status.is_ok()) return status;
  self->path_ = std::string(folder) + "/" + std::to_string(version) + "/" + self->config_.file_name;

  LibraryChoice library = settings.library;
  for (const auto& [key, value] : self->config_.parameters) {
    if (key == "onnxruntime_library") library.parameter = value;
  }
  if (settings.compute_threads > 0) set_ort_compute_threads(settings.compute_threads);
  if (status = load_ort(library); !status.is_ok()) return status;
  self->library_ = loaded_ort_library().path;

  bool complete = false;
  status = taken(api().TRITONBACKEND_ModelAutoCompleteConfig(model, &complete), "Triton does not say what to complete");
  if (!status.is_ok()) return status;
  EngineOptions options = self->options();
  // The session is opened once, before it is known whether the model batches: as if it did where it may.
  const bool undecided = complete && !self->config_.batches();
  if (undecided) options.max_batch_size = static_cast<int32_t>(settings.default_batch);
  std::unique_ptr<OrtModelState> state;
  if (status = open_ort_model(options, &state); !status.is_ok()) return status;

  if (complete && complete_config(state->spec, settings.default_batch, &json)) {
    if (status = set_config(model, json); !status.is_ok()) return status;
    self->config_ = read_model_config(json);
  }
  if (status = check_config(self->config_, state->spec); !status.is_ok()) return status;
  if (undecided && !self->config_.batches()) forget_rows(state.get());
  self->described_ = std::move(state);
  *out = std::move(self);
  return Status::ok();
}

EngineOptions ServedModel::options() const {
  EngineOptions options;
  options.model_path = path_;
  options.library_path = library_;
  options.parameters = config_.parameters;
  options.config_inputs = engine_tensors(config_, config_.inputs);
  options.config_outputs = engine_tensors(config_, config_.outputs);
  options.max_batch_size = static_cast<int32_t>(config_.max_batch_size);
  return options;
}

Status ServedModel::session(int device, std::shared_ptr<OrtModelState>* out) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<OrtModelState> described = std::exchange(described_, nullptr);
  std::shared_ptr<OrtModelState> session = sessions_[device].lock();
  if (!session && device == kCpu) session = described;
  if (!session) {
    EngineOptions wanted = options();
    wanted.cuda_device = device;
    std::unique_ptr<OrtModelState> state;
    if (Status status = open_ort_model(wanted, &state); !status.is_ok()) return status;
    session = std::move(state);
  }
  sessions_[device] = session;
  *out = std::move(session);
  return Status::ok();
}

}  // namespace subten::triton_backend
