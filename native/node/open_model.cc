#include "node/open_model.h"

#include <algorithm>
#include <memory>

#include "engines/engine.h"
#include "executor/model_core.h"
#include "executor/process_state.h"
#include "executor/synthetic_batch.h"
#include "node/port_object.h"
#include "node/text_worker.h"
#include "node/values.h"

namespace subten {
namespace {

using ModelHandle = Napi::External<std::unique_ptr<EngineModel>>;
// Tells our handles from those of other addons.
constexpr napi_type_tag kModelTag = {0x7375'6274'656e'0001, 0x6d6f'6465'6c00'0001};
// Most numbers in a list of settings; no configuration that was checked has more.
constexpr uint32_t kMaxList = 1u << 16;

class OpenWorker final : public Napi::AsyncWorker {
 public:
  OpenWorker(Napi::Env env, Engine* engine, EngineOptions options)
      : Napi::AsyncWorker(env),
        engine_(engine),
        options_(std::move(options)),
        deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() { return deferred_.Promise(); }

  void Execute() override {
    try {
      open();
    } catch (...) {
      status_ = Status::quiet(Code::kOutOfMemory, "there was no memory left to open the model");
      model_.reset();
    }
  }

  void open() {
    status_ = engine_->ensure_loaded_for(options_);
    if (!status_.is_ok()) return;
    // After the library's own exit handlers were registered, so that ours runs before them.
    register_exit_handler();
    status_ = engine_->open(options_, &model_);
    if (engine_->loads_libraries()) register_exit_handler();
  }

  void OnOK() override {
    Napi::Env env = Env();
    if (!can_run_js(env)) return;  // the worker thread was terminated meanwhile
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
    result.Set("maxBatchSize", Napi::Number::New(env, spec.max_batch_size));
    result.Set("async", Napi::Boolean::New(env, model_->completion() != Completion::kSync));
    auto model = std::make_unique<std::unique_ptr<EngineModel>>(std::move(model_));
    ModelHandle handle =
        ModelHandle::New(env, model.get(), [](Napi::Env, std::unique_ptr<EngineModel>* owned) { delete owned; });
    (void)model.release();  // the handle's now
    handle.TypeTag(&kModelTag);
    result.Set("handle", handle);
    deferred_.Resolve(result);
  }

 private:
  Engine* engine_;
  EngineOptions options_;
  Status status_;
  std::unique_ptr<EngineModel> model_;
  Napi::Promise::Deferred deferred_;
};

// Each element of a list; none when there is no list.
template <typename Visit>
void for_each(const Napi::Object& object, const char* name, Visit visit) {
  const Napi::Value value = object.Get(name);
  if (!value.IsArray()) return;
  const Napi::Array array = value.As<Napi::Array>();
  const uint32_t length = std::min(array.Length(), kMaxList);
  for (uint32_t i = 0; i < length; ++i) visit(array.Get(i));
}

LevelPolicy level_from_js(const Napi::Object& object) {
  LevelPolicy level;
  level.max_queue_size = get_whole<uint32_t>(object, "maxQueueSize", 4096, UINT32_MAX);
  level.timeout_ns = get_whole<int64_t>(object, "timeoutUs", 0, INT64_MAX, 1000);
  level.timeout_delays = get_bool(object, "timeoutDelays");
  level.allow_timeout_override = get_bool(object, "allowTimeoutOverride");
  return level;
}

CoreOptions core_options_from_js(const Napi::Object& object) {
  CoreOptions options;
  options.instances = get_whole<uint32_t>(object, "instances", 1, UINT32_MAX);
  options.wake = static_cast<WakeMode>(get_whole<uint32_t>(object, "wake", 0, 2));
  options.memory_bytes = get_whole<uint64_t>(object, "memoryBytes", 64.0 * 1024 * 1024, uint64_t{1} << 62);
  options.max_queue_size = get_whole<uint32_t>(object, "maxQueueSize", 4096, UINT32_MAX);
  options.slow_limit_ns =
      get_number(object, "slowLimitUs", 0) < 0 ? -1 : get_whole<int64_t>(object, "slowLimitUs", 0, INT64_MAX, 1000);
  options.poison = get_bool(object, "debug");
  options.decoupled = get_bool(object, "decoupled");
  options.deterministic = get_bool(object, "deterministic");
  options.count_min = get_whole<uint32_t>(object, "countMin", 0, UINT32_MAX);
  options.count_max = get_whole<uint32_t>(object, "countMax", 0, UINT32_MAX);
  options.weight = get_number(object, "weight", 0);
  options.info = get_string(object, "info");
  options.label = get_string(object, "label");
  BatchSettings& batch = options.batch;
  batch.max_batch_size = get_whole<uint32_t>(object, "maxBatchSize", 0, INT32_MAX);
  batch.dynamic = get_bool(object, "dynamic");
  batch.max_queue_delay_ns = get_whole<int64_t>(object, "maxQueueDelayUs", 0, INT64_MAX, 1000);
  batch.default_level = get_whole<uint32_t>(object, "defaultLevel", 1, UINT32_MAX);
  batch.preserve_ordering = get_bool(object, "preserveOrdering");
  batch.slo.target_ns = get_whole<int64_t>(object, "sloNs", 0, INT64_MAX / 64);
  options.latency_table = get_string(object, "latencyTable");
  for_each(object, "preferred", [&](const Napi::Value& rows) {
    if (rows.IsNumber()) batch.preferred.push_back(rows.As<Napi::Number>().Uint32Value());
  });
  batch.levels.clear();
  for_each(object, "levels", [&](const Napi::Value& level) {
    if (level.IsObject()) batch.levels.push_back(level_from_js(level.As<Napi::Object>()));
  });
  if (batch.levels.empty()) batch.levels.push_back(LevelPolicy{});
  return options;
}

Napi::Value type_error(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

bool is_model(const Napi::Value& value) {
  return value.IsExternal() && value.As<ModelHandle>().CheckTypeTag(&kModelTag);
}

Napi::Value open(const Napi::CallbackInfo& info) {
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
  options.max_batch_size = get_whole<int32_t>(object, "maxBatchSize", 0, INT32_MAX);
  if (object.Has("cudaDevice")) options.cuda_device = get_whole<int32_t>(object, "cudaDevice", 0, INT32_MAX);
  const auto read_pairs = [&](const char* list, std::vector<std::pair<std::string, std::string>>* pairs) {
    for_each(object, list, [&](const Napi::Value& each) {
      if (!each.IsArray()) return;
      const Napi::Array pair = each.As<Napi::Array>();
      const Napi::Value name = pair.Get(0u);
      const Napi::Value value = pair.Get(1u);
      if (name.IsString() && value.IsString()) {
        pairs->emplace_back(name.As<Napi::String>().Utf8Value(), value.As<Napi::String>().Utf8Value());
      }
    });
  };
  read_pairs("parameters", &options.parameters);
  read_pairs("settings", &options.settings);
  if (env.IsExceptionPending()) return env.Undefined();  // a getter threw
  auto worker = std::make_unique<OpenWorker>(env, engine, std::move(options));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  (void)worker.release();  // it deletes itself when it has ended
  return promise;
}

// Runs batches of zeros on a model that has no core yet, to learn what they take.
class MeasureWorker final : public TextWorker {
 public:
  MeasureWorker(Napi::Env env, const ModelHandle& handle, uint32_t rows, bool filled)
      : TextWorker(env),
        handle_(Napi::Persistent(handle.As<Napi::Value>())),
        model_(std::move(*handle.Data())),
        rows_(rows),
        filled_(filled) {}

  void Execute() override { answer_ = measure_latencies(*model_, rows_, filled_); }

 private:
  void finish() override { *handle_.Value().As<ModelHandle>().Data() = std::move(model_); }

  Napi::Reference<Napi::Value> handle_;
  std::unique_ptr<EngineModel> model_;  // meanwhile the handle has none
  uint32_t rows_;
  bool filled_;
};

Napi::Value measure(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto handle = info[0].As<ModelHandle>();
  if (!*handle.Data()) return to_js(env, Status::error(Code::kModelClosed, "this model handle was used already"));
  const uint32_t rows = info[1].IsNumber() ? info[1].As<Napi::Number>().Uint32Value() : 0;
  return TextWorker::start(std::make_unique<MeasureWorker>(env, handle, rows, info[2].ToBoolean().Value()));
}

Napi::Value create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  // Getters of the caller may run in there, and may even use the same handle: the model is taken afterwards.
  CoreOptions options = core_options_from_js(info[1].As<Napi::Object>());
  if (env.IsExceptionPending()) return env.Undefined();
  std::unique_ptr<EngineModel> model = std::move(*info[0].As<ModelHandle>().Data());
  if (!model) return to_js(env, Status::error(Code::kModelClosed, "this model handle was used already"));
  std::shared_ptr<ModelCore> core;
  Status status = ModelCore::create(std::move(model), std::move(options), &core);
  if (!status.is_ok()) return to_js(env, status);
  Napi::Value port = PortObject::create(env, core, info[2].As<Napi::Function>(), &status);
  return status.is_ok() ? port : to_js(env, status);
}

Napi::Value attach(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::shared_ptr<ModelCore> core = process_state().registry.find(info[0].As<Napi::String>().Utf8Value());
  Status status = core ? Status::ok() : Status::error(Code::kModelClosed, "the model of this token is closed");
  Napi::Value port;
  if (core) port = PortObject::create(env, core, info[1].As<Napi::Function>(), &status);
  return status.is_ok() ? port : to_js(env, status);
}

}  // namespace

Napi::Value open_model(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsObject()) return type_error(env, "openModel needs an object of settings");
  return {env, or_out_of_memory(env, [&]() -> napi_value { return open(info); })};
}

Napi::Value measure_model(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!is_model(info[0])) return type_error(env, "measureLatencies needs the handle that openModel gave");
  return {env, or_out_of_memory(env, [&]() -> napi_value { return measure(info); })};
}

Napi::Value create_port(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!is_model(info[0])) return type_error(env, "createPort needs the handle that openModel gave");
  if (!info[1].IsObject()) return type_error(env, "createPort needs an object of settings");
  if (!info[2].IsFunction()) return type_error(env, "createPort needs a function to wake");
  return {env, or_out_of_memory(env, [&]() -> napi_value { return create(info); })};
}

Napi::Value attach_port(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsString()) return type_error(env, "attachPort needs the id of a token");
  if (!info[1].IsFunction()) return type_error(env, "attachPort needs a function to wake");
  return {env, or_out_of_memory(env, [&]() -> napi_value { return attach(info); })};
}

}  // namespace subten
