// What the addon exports. Loaded once an environment; everything process-wide lives in ProcessState.

#include <napi.h>

#include <cstdlib>
#include <mutex>

#include "engines/cuda/device.h"
#include "engines/engine.h"
#include "engines/onnxruntime/onnxruntime_engine.h"
#include "engines/tensorrt/tensorrt_engine.h"
#include "executor/cpu_limits.h"
#include "executor/crash_note.h"
#include "executor/process_state.h"
#include "executor/record.h"
#include "node/engine_call.h"
#include "node/engine_log.h"
#include "node/file_lock.h"
#include "node/flight_calls.h"
#include "node/loop_timer.h"
#include "node/open_model.h"
#include "node/picture_call.h"
#include "node/simulate_call.h"
#include "node/values.h"

namespace subten {
namespace {

// configure({ onnxruntimeLibrary, jpegLibrary, tensorrtFolder }): where npm's platform packages have the libraries.
Napi::Value configure(const Napi::CallbackInfo& info) {
  set_onnxruntime_library_hint(get_string(info[0].As<Napi::Object>(), "onnxruntimeLibrary"));
  set_jpeg_library(get_string(info[0].As<Napi::Object>(), "jpegLibrary"));
  set_tensorrt_folder(get_string(info[0].As<Napi::Object>(), "tensorrtFolder"));
  set_onnxruntime_threads(static_cast<int>(process_state().cpus.used));
  return info.Env().Undefined();
}

// engines(libraries): [{ name, version, library, status, message }], after an attempt to load each; `libraries` has
// paths by names of engines, for those that do not find theirs alone.
Napi::Value engines(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Napi::Object libraries = info[0].IsObject() ? info[0].As<Napi::Object>() : Napi::Object::New(env);
  Napi::Array list = Napi::Array::New(env);
  for (Engine* engine : all_engines()) {
    const std::string name(engine->name());
    const std::string path = libraries.Has(name) ? get_string(libraries, name.c_str()) : std::string();
    Napi::Object entry = to_js(env, engine->ensure_loaded(path));
    entry.Set("name", name);
    entry.Set("version", engine->version());
    entry.Set("library", engine->library());
    list.Set(list.Length(), entry);
  }
  return list;
}

Napi::Value cpus(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const CpuLimits limits = read_cpu_limits();
  Napi::Object object = Napi::Object::New(env);
  object.Set("online", limits.online);
  object.Set("affinity", limits.affinity);
  object.Set("quota", limits.quota);
  object.Set("used", limits.used);
  object.Set("throttled", static_cast<double>(limits.throttled));
  return object;
}

// cudaDevices(): { status, message, driver, devices: [{ ordinal, name, uuid, compute, memoryBytes }] }; starts the
// driver.
Napi::Value cuda_devices(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::vector<CudaDevice> devices;
  const CudaDriver* driver = nullptr;
  Status status = load_cuda_driver(&driver);
  if (status.is_ok()) status = list_cuda_devices(&devices);
  Napi::Object found = to_js(env, status);
  found.Set("driver", driver == nullptr ? 0 : cuda_driver_version(*driver));
  Napi::Array list = Napi::Array::New(env);
  for (const CudaDevice& device : devices) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("ordinal", device.ordinal);
    entry.Set("name", device.name);
    entry.Set("uuid", device.uuid);
    entry.Set("compute", std::to_string(device.compute_major) + "." + std::to_string(device.compute_minor));
    entry.Set("memoryBytes", static_cast<double>(device.memory_bytes));
    list.Set(list.Length(), entry);
  }
  found.Set("devices", list);
  return found;
}

// layout(): offsets of what both languages read, for the test that compares them.
Napi::Value layout(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, size_t value) { object.Set(name, static_cast<double>(value)); };
  set("header", sizeof(RecordHeader));
  set("output", sizeof(OutputRecord));
  set("staged", sizeof(StagedInput));
  set("maxRank", kMaxRank);
  set("slot", offsetof(RecordHeader, slot));
  set("generation", offsetof(RecordHeader, generation));
  set("kind", offsetof(RecordHeader, kind));
  set("status", offsetof(RecordHeader, status));
  set("reason", offsetof(RecordHeader, reason));
  set("batchRows", offsetof(RecordHeader, batch_rows));
  set("rows", offsetof(RecordHeader, rows));
  set("submitNs", offsetof(RecordHeader, submit_ns));
  set("leaderNs", offsetof(RecordHeader, leader_ns));
  set("dispatchNs", offsetof(RecordHeader, dispatch_ns));
  set("startNs", offsetof(RecordHeader, start_ns));
  set("endNs", offsetof(RecordHeader, end_ns));
  set("completeNs", offsetof(RecordHeader, complete_ns));
  set("batch", offsetof(RecordHeader, batch));
  set("outputOffset", offsetof(OutputRecord, offset));
  set("outputBytes", offsetof(OutputRecord, bytes));
  set("outputRank", offsetof(OutputRecord, rank));
  set("outputSource", offsetof(OutputRecord, source));
  set("outputShape", offsetof(OutputRecord, shape));
  Napi::Array datatypes = Napi::Array::New(env);
  for (size_t i = 0; i < kDataTypeCount; ++i) {
    datatypes.Set(static_cast<uint32_t>(i), std::string(datatype_name(static_cast<DataType>(i))));
  }
  object.Set("datatypes", datatypes);
  set("slowStride", kSlowStride);
  set("slowNumbers", kSlowNumbers);
  set("batchNumbers", kBatchNumbers);
  set("slowPrevious", SlowRequest::kPrevious);
  set("slowMates", SlowRequest::kMates);
  set("slowKept", Port::kSlowKept);
  set("codes", static_cast<size_t>(Code::kUnsupportedPlatform));
  return object;
}

// ONNX Runtime 1.30 and newer keep usage telemetry on Linux: they write session files into TMPDIR and would send them.
// A service's process does not do that unasked; a variable that is set already stays as it is. Set here, when the first
// environment loads the addon, and not where the library is loaded: other threads read the environment by then.
void keep_quiet() {
  static std::once_flag once;
  std::call_once(once, [] { setenv("ORT_DISABLE_TELEMETRY", "1", 0); });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  keep_quiet();
  install_crash_note();
  exports.Set("version", SUBTEN_VERSION);
  exports.Set("configure", Napi::Function::New(env, configure));
  exports.Set("engines", Napi::Function::New(env, engines));
  exports.Set("cpus", Napi::Function::New(env, cpus));
  exports.Set("hostWatch", Napi::Function::New(env, host_watch));
  exports.Set("cudaDevices", Napi::Function::New(env, cuda_devices));
  exports.Set("layout", Napi::Function::New(env, layout));
  exports.Set("onEngineLog", Napi::Function::New(env, on_engine_log));
  exports.Set("engineCall", Napi::Function::New(env, engine_call));
  exports.Set("loopTimer", Napi::Function::New(env, loop_timer));
  exports.Set("lockFile", Napi::Function::New(env, lock_file));
  exports.Set("decodeJpeg", Napi::Function::New(env, decode_jpeg_call));
  exports.Set("simulate", Napi::Function::New(env, simulate_call));
  exports.Set("openModel", Napi::Function::New(env, open_model));
  exports.Set("measureLatencies", Napi::Function::New(env, measure_model));
  exports.Set("createPort", Napi::Function::New(env, create_port));
  exports.Set("attachPort", Napi::Function::New(env, attach_port));
  return exports;
}

}  // namespace
}  // namespace subten

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) { return subten::init(env, exports); }
NODE_API_MODULE(subten, init_addon)
