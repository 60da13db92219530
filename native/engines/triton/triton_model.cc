#include "engines/triton/triton_model.h"

#include <algorithm>
#include <charconv>

#include "engines/common/json.h"
#include "engines/triton/triton_instance.h"

namespace subten {
namespace {

constexpr std::string_view kStageNames[kTritonStages] = {"tritonQueue", "tritonInput", "tritonCompute", "tritonOutput"};

bool find_type(std::string_view name, DataType* type) {
  for (size_t i = 0; i < kDataTypeCount; ++i) {
    if (datatype_name(static_cast<DataType>(i)) != name) continue;
    *type = static_cast<DataType>(i);
    return true;
  }
  return false;
}

// The entry of `name` in a list of the configuration.
const Json& entry(const Json& list, const std::string& name) {
  static const Json nothing;
  for (const Json& each : list.items) {
    if (each["name"].text == name) return each;
  }
  return nothing;
}

// Every model, for the exit of the process. Never destroyed.
struct Models {
  std::mutex mutex;
  std::vector<TritonModel*> all;
};

Models& models() noexcept {
  static auto* const instance = new Models();  // NOLINT(bugprone-unhandled-exception-at-new): with the first model
  return *instance;
}

}  // namespace

TritonModel::TritonModel(std::shared_ptr<TritonServer> server, std::string name)
    : server_(std::move(server)), name_(std::move(name)) {
  std::lock_guard lock(models().mutex);
  models().all.push_back(this);
}

void TritonModel::add(TritonInstance* instance) {
  std::lock_guard lock(mutex_);
  instances_.push_back(instance);
}

void TritonModel::remove(TritonInstance* instance) noexcept {
  std::lock_guard lock(mutex_);
  std::erase(instances_, instance);
}

void TritonModel::drop_all_requests() noexcept {
  std::lock_guard lock(models().mutex);
  for (TritonModel* model : models().all) {
    std::lock_guard instances(model->mutex_);
    for (TritonInstance* instance : model->instances_) instance->drop_request();
  }
}

Status open_triton_model(const EngineOptions& options, std::unique_ptr<EngineModel>* out) {
  const std::string& name = find_setting(options, "model");
  if (name.empty() || find_setting(options, "repository").empty()) {
    return Status::error(Code::kConfigInvalid, "the engine triton needs a model in a model repository");
  }
  std::shared_ptr<TritonServer> server;
  Status status = TritonServer::acquire(options.settings, &server);
  if (!status.is_ok()) return status;
  auto model = std::make_unique<TritonModel>(server, name);
  status = server->use_model(name, find_setting(options, "config"), find_setting(options, "loaded") == "true");
  if (!status.is_ok()) return status;
  model->in_use_ = true;
  status = model->describe(find_setting(options, "version"));
  if (!status.is_ok()) return status;
  *out = std::move(model);
  return Status::ok();
}

TritonModel::~TritonModel() {
  {
    std::lock_guard lock(models().mutex);
    std::erase(models().all, this);
  }
  if (allocator_ != nullptr) {
    const TritonError ignored(triton().ResponseAllocatorDelete(allocator_));
  }
  if (in_use_) server_->release_model(name_);
}

Status TritonModel::describe(const std::string& wanted) {
  for (Histogram& stage : stages_) {
    if (!stage.initialise()) return Status::error(Code::kOutOfMemory, "no memory for the statistics of a model");
  }
  const TritonError error(triton().ResponseAllocatorNew(&allocator_, TritonInstance::allocate_output,
                                                        TritonInstance::release_output, nullptr));
  if (error) return Status::error(Code::kEngineFailed, error.message());
  using Message = TritonServer::Message;
  std::string metadata;
  std::string config;
  Status status = server_->message(Message::kModelMetadata, name_, -1, &metadata);
  if (status.is_ok()) status = choose_version(metadata, wanted);
  if (status.is_ok()) status = server_->message(Message::kModelMetadata, name_, version_, &metadata);
  if (status.is_ok()) status = server_->message(Message::kModelConfig, name_, version_, &config);
  if (status.is_ok()) status = read_tensors(metadata, config);
  if (!status.is_ok()) return status;
  uint32_t flags = 0;
  void* reserved = nullptr;
  const TritonError failure(
      triton().ServerModelTransactionProperties(server_->raw(), name_.c_str(), version_, &flags, &reserved));
  decoupled_ = !failure && (flags & TRITONSERVER_TXN_DECOUPLED) != 0;
  spec_.metadata = {{"config", config},
                    {"version", std::to_string(version_)},
                    {"decoupled", decoupled_ ? "true" : "false"},
                    {"triton api", triton_library().version}};
  std::string server;
  Json parsed;
  if (server_->message(Message::kServerMetadata, "", -1, &server).is_ok() && parse_json(server, &parsed)) {
    spec_.metadata.emplace_back("triton core", parsed["version"].text);
  }
  return Status::ok();
}

// The newest version that is served, or the one that was asked for.
Status TritonModel::choose_version(const std::string& metadata, const std::string& wanted) {
  Json parsed;
  if (!parse_json(metadata, &parsed)) return Status::error(Code::kEngineFailed, "Triton's metadata is no JSON");
  std::string served;
  int64_t newest = -1;
  for (const Json& version : parsed["versions"].items) {
    newest = std::max(newest, version.integer(-1));
    served += (served.empty() ? "" : ", ") + version.text;
    if (version.text == wanted) {
      version_ = version.integer(-1);
      return Status::ok();
    }
  }
  if (!wanted.empty() || newest < 0) {
    return Status::error(Code::kModelNotFound, "Triton serves of model '" + name_ + "' the versions " + served +
                                                   ", not " + wanted +
                                                   "; version_policy in config.pbtxt says which it loads");
  }
  version_ = newest;
  return Status::ok();
}

Status TritonModel::read_tensors(const std::string& metadata, const std::string& config) {
  Json meta;
  Json settings;
  if (!parse_json(metadata, &meta) || !parse_json(config, &settings)) {
    return Status::error(Code::kEngineFailed, "Triton's description of model '" + name_ + "' is no JSON");
  }
  has_priorities_ = settings["dynamic_batching"]["priority_levels"].integer() > 0;
  for (const auto& [kind, out] : {std::pair{"input", &spec_.inputs}, std::pair{"output", &spec_.outputs}}) {
    for (const Json& tensor : meta[std::string(kind) + "s"].items) {
      TensorSpec spec;
      spec.name = tensor["name"].text;
      if (!find_type(tensor["datatype"].text, &spec.type)) {
        return Status::error(Code::kNotSupported, "tensor '" + spec.name + "' of model '" + name_ +
                                                      "' has the datatype " + tensor["datatype"].text +
                                                      ", which subten does not know");
      }
      for (const Json& dimension : tensor["shape"].items) spec.shape.push_back(dimension.integer());
      const Json& written = entry(settings[kind], spec.name);
      spec.optional = written.true_of("optional");
      spec.ragged = written.true_of("allow_ragged_batch");
      out->push_back(std::move(spec));
    }
  }
  return Status::ok();
}

int TritonModel::output_index(std::string_view name) const noexcept {
  for (size_t i = 0; i < spec_.outputs.size(); ++i) {
    if (spec_.outputs[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

Status TritonModel::create_instance(std::unique_ptr<EngineInstance>* out) {
  auto instance = std::make_unique<TritonInstance>(this);
  add(instance.get());
  *out = std::move(instance);
  return Status::ok();
}

void TritonModel::record(const int64_t (&nanoseconds)[kTritonStages]) noexcept {
  // One writer at a time, and nobody waits for statistics. Acquire and release order the plain counters of the writers.
  if (recording_.test_and_set(std::memory_order_acquire)) return;
  for (size_t stage = 0; stage < kTritonStages; ++stage) {
    if (nanoseconds[stage] >= 0) stages_[stage].record(nanoseconds[stage]);
  }
  recording_.clear(std::memory_order_release);
}

void TritonModel::each_stage(const std::function<void(std::string_view, const Histogram&)>& visit) const {
  for (size_t stage = 0; stage < kTritonStages; ++stage) visit(kStageNames[stage], stages_[stage]);
}

void TritonModel::reset_stages() noexcept {
  for (Histogram& stage : stages_) stage.reset();
}

}  // namespace subten
