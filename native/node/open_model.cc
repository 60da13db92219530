#include "node/open_model.h"

#include <memory>

#include "engines/engine.h"
#include "executor/model_core.h"
#include "executor/process_state.h"
#include "node/port_object.h"
#include "node/values.h"

namespace subten {
namespace {

using ModelHandle = Napi::External<std::unique_ptr<EngineModel>>;

class OpenWorker final : public Napi::AsyncWorker {
 public:
  OpenWorker(Napi::Env env, Engine* engine, EngineOptions options)
      : Napi::AsyncWorker(env),
        engine_(engine),
        options_(std::move(options)),
        deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() { return deferred_.Promise(); }

  void Execute() override {
    status_ = engine_->ensure_loaded(options_.library_path);
    if (!status_.is_ok()) return;
    // After the library's own exit handlers were registered, so that ours runs before them.
    register_exit_handler();
    status_ = engine_->open(options_, &model_);
  }

  void OnOK() override {
    Napi::Env env = Env();
    if (!status_.is_ok()) {
      deferred_.Resolve(to_js(env, status_));
      return;
    }
    Napi::Object result = Napi::Object::New(env);
    const ModelSpec& spec = model_->spec();
    result.Set("inputs", tensors_to_js(env, spec.inputs));
    result.Set("outputs", tensors_to_js(env, spec.outputs));
    Napi::Object metadata = Napi::Object::New(env);
    for (const auto& [key, value] : spec.metadata) metadata.Set(key, value);
    result.Set("metadata", metadata);
    result.Set("async", Napi::Boolean::New(env, model_->completion() != Completion::kSync));
    result.Set("handle", ModelHandle::New(env, new std::unique_ptr<EngineModel>(std::move(model_)),
                                          [](Napi::Env, std::unique_ptr<EngineModel>* model) { delete model; }));
    deferred_.Resolve(result);
  }

 private:
  Engine* engine_;
  EngineOptions options_;
  Status status_;
  std::unique_ptr<EngineModel> model_;
  Napi::Promise::Deferred deferred_;
};

LevelPolicy level_from_js(const Napi::Object& object) {
  LevelPolicy level;
  level.max_queue_size = static_cast<uint32_t>(get_number(object, "maxQueueSize", 4096));
  level.timeout_ns = static_cast<int64_t>(get_number(object, "timeoutUs", 0) * 1000);
  level.timeout_delays = get_bool(object, "timeoutDelays");
  level.allow_timeout_override = get_bool(object, "allowTimeoutOverride");
  return level;
}

CoreOptions core_options_from_js(const Napi::Object& object) {
  CoreOptions options;
  options.instances = static_cast<uint32_t>(get_number(object, "instances", 1));
  options.wake = static_cast<WakeMode>(static_cast<uint8_t>(get_number(object, "wake", 0)) % 3);
  options.memory_bytes = static_cast<uint64_t>(get_number(object, "memoryBytes", 64.0 * 1024 * 1024));
  options.max_queue_size = static_cast<uint32_t>(get_number(object, "maxQueueSize", 4096));
  options.poison = get_bool(object, "debug");
  options.decoupled = get_bool(object, "decoupled");
  options.info = get_string(object, "info");
  BatchSettings& batch = options.batch;
  batch.max_batch_size = static_cast<uint32_t>(get_number(object, "maxBatchSize", 0));
  batch.dynamic = get_bool(object, "dynamic");
  batch.max_queue_delay_ns = static_cast<int64_t>(get_number(object, "maxQueueDelayUs", 0) * 1000);
  batch.default_level = static_cast<uint32_t>(get_number(object, "defaultLevel", 1));
  batch.preserve_ordering = get_bool(object, "preserveOrdering");
  const Napi::Array preferred = object.Get("preferred").As<Napi::Array>();
  for (uint32_t i = 0; i < preferred.Length(); ++i) {
    batch.preferred.push_back(preferred.Get(i).As<Napi::Number>().Uint32Value());
  }
  std::sort(batch.preferred.begin(), batch.preferred.end());
  const Napi::Array levels = object.Get("levels").As<Napi::Array>();
  batch.levels.clear();
  for (uint32_t i = 0; i < levels.Length(); ++i)
    batch.levels.push_back(level_from_js(levels.Get(i).As<Napi::Object>()));
  if (batch.levels.empty()) batch.levels.push_back(LevelPolicy{});
  return options;
}

}  // namespace

Napi::Value open_model(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Napi::Object object = info[0].As<Napi::Object>();
  const std::string name = get_string(object, "engine");
  Engine* engine = find_engine(name);
  if (engine == nullptr) {
    // Made here alone: one that is never settled holds its promise, and its caller's AsyncLocalStorage, for ever.
    auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Resolve(
        to_js(env, Status::error(Code::kEngineNotFound, "this version of subten has no engine '" + name + "'")));
    return deferred.Promise();
  }
  EngineOptions options;
  options.model_path = get_string(object, "modelPath");
  options.library_path = get_string(object, "libraryPath");
  options.config_inputs = tensors_from_js(object.Get("inputs"));
  options.config_outputs = tensors_from_js(object.Get("outputs"));
  options.max_batch_size = static_cast<int32_t>(get_number(object, "maxBatchSize", 0));
  const Napi::Array parameters = object.Get("parameters").As<Napi::Array>();
  for (uint32_t i = 0; i < parameters.Length(); ++i) {
    const Napi::Array pair = parameters.Get(i).As<Napi::Array>();
    options.parameters.emplace_back(pair.Get(0u).As<Napi::String>().Utf8Value(),
                                    pair.Get(1u).As<Napi::String>().Utf8Value());
  }
  auto* worker = new OpenWorker(env, engine, std::move(options));
  worker->Queue();
  return worker->promise();
}

Napi::Value create_port(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::unique_ptr<EngineModel> model = std::move(*info[0].As<ModelHandle>().Data());
  if (!model) return to_js(env, Status::error(Code::kModelClosed, "this model handle was used already"));
  std::shared_ptr<ModelCore> core;
  Status status = ModelCore::create(std::move(model), core_options_from_js(info[1].As<Napi::Object>()), &core);
  if (!status.is_ok()) return to_js(env, status);
  Napi::Value port = PortObject::create(env, core, info[2].As<Napi::Function>(), &status);
  return status.is_ok() ? port : to_js(env, status);
}

Napi::Value attach_port(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::shared_ptr<ModelCore> core = process_state().registry.find(info[0].As<Napi::String>().Utf8Value());
  Status status = core ? Status::ok() : Status::error(Code::kModelClosed, "the model of this token is closed");
  Napi::Value port;
  if (core) port = PortObject::create(env, core, info[1].As<Napi::Function>(), &status);
  return status.is_ok() ? port : to_js(env, status);
}

}  // namespace subten
